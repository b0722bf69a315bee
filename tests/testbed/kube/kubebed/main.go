// kubebed: a whole Kubernetes in one binary, made of the published Go modules: etcd, the control plane, a node's agent
// and proxy, kubectl, and KWOK, which plays nodes and pods. The part is the first argument, or the name it is called by.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	"sigs.k8s.io/kwok/pkg/utils/signals"
)

var commands = map[string]func() *cobra.Command{
	"apiserver":   apiserver.NewAPIServerCommand,
	"controllers": controllers.NewControllerManagerCommand,
	"scheduler":   func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubelet":     func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
	"proxy":       proxy.NewProxyCommand,
}

func main() {
	if filepath.Base(os.Args[0]) != "kubectl" { // kubectl reads os.Args itself, for its plugins
		if len(os.Args) < 2 {
			fail("usage: kubebed etcd|apiserver|controllers|scheduler|kubelet|proxy|kwok|kubectl [flags]")
		}
		os.Args = os.Args[1:]
	}
	switch part := filepath.Base(os.Args[0]); part {
	case "etcd":
		etcdmain.Main(os.Args)
	case "kubectl":
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			fail(err)
		}
	case "kwok":
		if err := runKwok(); err != nil {
			fail(err)
		}
	default:
		command, known := commands[part]
		if !known {
			fail("kubebed has no part " + part)
		}
		os.Exit(cli.Run(command()))
	}
}

// runKwok does what the main package of KWOK does, which cannot be imported.
func runKwok() error {
	pflag.CommandLine = pflag.NewFlagSet("kwok", pflag.ContinueOnError) // Kubernetes' own has another --version
	flags := pflag.NewFlagSet("kwok", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	ctx, _ := kwoklog.InitFlags(signals.SetupSignalContext(), flags)
	ctx, err := kwokconfig.InitFlags(ctx, flags)
	if err != nil {
		return err
	}
	command := kwok.NewCommand(ctx)
	command.PersistentFlags().AddFlagSet(flags)
	return command.ExecuteContext(ctx)
}

func fail(why any) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}
