"""GPU instances of AWS in auto scaling groups, which start a model by themselves."""
