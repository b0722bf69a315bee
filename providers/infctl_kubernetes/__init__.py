"""The kubernetes target: models as Deployments and Services of a cluster, whose scheduler says where they run."""
