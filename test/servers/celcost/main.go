// celcost FILE…: what the API server would estimate each CEL rule of these CustomResourceDefinitions to cost, by the same
// code that it refuses expensive rules with. Prints one JSON object per rule and one per definition; exit status 1 where a
// rule does not compile or a budget is exceeded.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"
)

type rule struct {
	Path    string  `json:"path"`
	Rule    string  `json:"rule"`
	Cost    uint64  `json:"cost"`
	Percent float64 `json:"percentOfBudget"`
	Error   string  `json:"error,omitempty"`
}

type total struct {
	Definition string  `json:"definition"`
	Rules      int     `json:"rules"`
	Total      uint64  `json:"total"`
	Percent    float64 `json:"percentOfBudget"`
}

var (
	out    = json.NewEncoder(os.Stdout)
	failed bool
)

func fail(err error) {
	fmt.Fprintln(os.Stderr, "celcost:", err)
	os.Exit(2)
}

func percent(cost, budget uint64) float64 { return float64(cost) * 100 / float64(budget) }

func report(value any) {
	if err := out.Encode(value); err != nil {
		fail(err)
	}
}

// walk compiles the rules of one node and of all below it.
func walk(schema *apiextensions.JSONSchemaProps, path string, context *validation.CELSchemaContext, sum *total) {
	if len(schema.XValidations) > 0 {
		info, err := context.TypeInfo()
		if err != nil {
			fail(fmt.Errorf("%s: %w", path, err))
		}
		environments := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion(), true)
		results, err := cel.Compile(info.Schema, info.DeclType, celconfig.PerCallLimit, environments, cel.NewExpressionsEnvLoader())
		if err != nil {
			fail(fmt.Errorf("%s: %w", path, err))
		}
		for i, result := range results {
			cardinality := result.MaxCardinality
			if context.MaxCardinality != nil {
				cardinality = *context.MaxCardinality
			}
			one := rule{Path: path, Rule: schema.XValidations[i].Rule, Cost: result.MaxCost * cardinality}
			one.Percent = percent(one.Cost, validation.StaticEstimatedCostLimit)
			if result.Error != nil {
				one.Error = result.Error.Detail
			}
			failed = failed || one.Error != "" || one.Cost > validation.StaticEstimatedCostLimit
			sum.Rules++
			sum.Total += one.Cost
			report(one)
		}
	}
	for name := range schema.Properties {
		child := schema.Properties[name]
		walk(&child, path+"/"+name, context.ChildPropertyContext(&child, name), sum)
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		walk(schema.Items.Schema, path+"/*", context.ChildItemsContext(schema.Items.Schema), sum)
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
		values := schema.AdditionalProperties.Schema
		walk(values, path+"/*", context.ChildAdditionalPropertiesContext(values), sum)
	}
}

func main() {
	for _, file := range os.Args[1:] {
		text, err := os.ReadFile(file)
		if err != nil {
			fail(err)
		}
		var definition v1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &definition); err != nil {
			fail(fmt.Errorf("%s: %w", file, err))
		}
		for _, version := range definition.Spec.Versions {
			var schema apiextensions.JSONSchemaProps
			if err := v1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema, &schema, nil); err != nil {
				fail(fmt.Errorf("%s: %w", file, err))
			}
			sum := total{Definition: definition.Name + "/" + version.Name}
			walk(&schema, "", validation.RootCELContext(&schema), &sum)
			sum.Percent = percent(sum.Total, validation.StaticEstimatedCRDCostLimit)
			failed = failed || sum.Total > validation.StaticEstimatedCRDCostLimit
			report(sum)
		}
	}
	if failed {
		os.Exit(1)
	}
}
