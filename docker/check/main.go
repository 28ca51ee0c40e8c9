// Reads a compose file with the library that `docker compose` itself uses, and says what is wrong with it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func main() {
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(file string) error {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithProfiles([]string{"*"}))
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	for _, name := range project.ServiceNames() {
		if err := healthy(project, project.Services[name]); err != nil {
			return err
		}
	}
	fmt.Printf("%s: %d services\n", file, len(project.Services))
	return nil
}

// Who is waited for until healthy must be able to say so.
func healthy(project *types.Project, service types.ServiceConfig) error {
	for name, on := range service.DependsOn {
		check := project.Services[name].HealthCheck
		own := project.Services[name].Build != nil
		if on.Condition == types.ServiceConditionHealthy && check == nil && !own {
			return fmt.Errorf("%s waits for %s, which has no health check", service.Name, name)
		}
	}
	return nil
}
