package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// known lists the fields of each place; a place that is not listed takes any. Lists are `[]`.
var known = map[string]string{
	"":                                      "config binds frontendPolicies policies backends llm mcp",
	"config":                                "adminAddr statsAddr readinessAddr connectionTerminationDeadline connectionMinTerminationDeadline logging tracing",
	"binds[]":                               "port listeners tunnelProtocol",
	"binds[].listeners[]":                   "name hostname protocol routes policies tls",
	"binds[].listeners[].routes[]":          "name hostnames matches policies backends",
	"binds[].listeners[].routes[].policies": "ai cors timeout retry jwtAuth authorization",
	"binds[].listeners[].routes[].backends[]": "ai host weight policies",
}

// since lists what a version takes besides, onlyBefore what it no longer takes.
var (
	since      = map[string]map[string]string{"v1.4.1": {"": "gateways", "binds[].listeners[].routes[].policies": "delay"}}
	onlyBefore = map[string]map[string]string{"v1.3.1": {"config": "legacyTimeout"}}
)

var index = regexp.MustCompile(`\[\d+\]`)

// check reads the text as YAML and judges it.
func check(text string) error {
	var document any
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return fmt.Errorf("failed to parse config: %v", err)
	}
	if document == nil {
		document = map[string]any{}
	}
	return walk("", document)
}

func walk(path string, value any) error {
	place := index.ReplaceAllString(path, "[]")
	switch value := value.(type) {
	case map[string]any:
		fields, listed := fieldsOf(place)
		keys := make([]string, 0, len(value))
		for key := range value {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		for _, key := range keys {
			if listed && !contains(fields, key) {
				return wrong(path, fmt.Sprintf("unknown field `%s`, expected one of `%s`", key, strings.Join(fields, "`, `")))
			}
			if err := walk(strings.TrimPrefix(path+"."+key, "."), value[key]); err != nil {
				return err
			}
		}
	case []any:
		for i, item := range value {
			if err := walk(fmt.Sprintf("%s[%d]", path, i), item); err != nil {
				return err
			}
		}
	default:
		return scalar(place, path, value)
	}
	return nil
}

func scalar(place, path string, value any) error {
	switch {
	case place == "binds[].port":
		if number, ok := value.(int); ok && (number < 0 || number > 65535) {
			return wrong(path, fmt.Sprintf("invalid value: integer `%d`, expected u16", number))
		} else if !ok {
			quoted, _ := json.Marshal(value)
			return wrong(path, fmt.Sprintf("invalid type: string %s, expected u16", quoted))
		}
	case strings.HasSuffix(place, "TerminationDeadline"):
		if !regexp.MustCompile(`^\d+(ms|s|m|h)$`).MatchString(fmt.Sprint(value)) {
			return wrong(path, fmt.Sprintf("invalid duration: %v", value))
		}
	}
	return nil
}

// wrong words an error as the real program does, with a position that refers to JSON that nobody sees.
func wrong(path, what string) error {
	if path == "" {
		return fmt.Errorf("%s at line 1 column 551", what)
	}
	return fmt.Errorf("%s: %s at line 1 column 551", path, what)
}

func fieldsOf(place string) ([]string, bool) {
	listed, found := known[place]
	more := since[version][place] + " " + onlyBefore[version][place]
	return strings.Fields(listed + " " + more), found
}

func contains(fields []string, key string) bool {
	for _, field := range fields {
		if field == key {
			return true
		}
	}
	return false
}
