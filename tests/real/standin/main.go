// A stand-in for the gateway's program: it judges a config as the real one does, in the ways that the tests ask about,
// serves readiness where it is started without --validate-only, and misbehaves where a config tells it to. One source,
// two versions that accept different fields.
package main

import (
	"fmt"
	"os"
	"strings"
)

// version is set by the linker.
var version = "v1.3.1"

func main() {
	file, serve, code, message := arguments(os.Args[1:])
	if code >= 0 {
		fmt.Fprint(map[bool]*os.File{true: os.Stdout, false: os.Stderr}[code == 0], message)
		os.Exit(code)
	}
	if path, set := os.LookupEnv("LOCAL_XDS_PATH"); set {
		file = path
	}
	config := ""
	if file == "" {
		fmt.Println("No local configuration")
	} else if text, err := validate(file); err != nil {
		fmt.Fprintf(os.Stderr, "Error: %v\n", err)
		os.Exit(1)
	} else {
		config = text
	}
	if serve {
		run(config)
	}
	fmt.Println("Configuration is valid!")
}

// arguments returns the config's path and whether to serve it, or an exit code with what to print.
func arguments(args []string) (file string, serve bool, code int, message string) {
	validateOnly := false
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--validate-only":
			validateOnly = true
		case args[i] == "-V":
			return "", false, 0, strings.TrimPrefix(version, "v") + "\n"
		case (args[i] == "-f" || args[i] == "--file") && i+1 < len(args):
			i++
			file = args[i]
		default:
			return "", false, 2, fmt.Sprintf("error: unexpected argument '%s' found\n\nFor more information, try '--help'.\n", args[i])
		}
	}
	return file, !validateOnly, -1, ""
}

// validate returns the config as it is read, its variables replaced.
func validate(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("failed to open file `%s`\n\nCaused by:\n    No such file or directory (os error 2)", file)
	}
	if len(resolvers()) == 0 {
		return "", fmt.Errorf("no nameservers found in config")
	}
	text := strings.ReplaceAll(string(content), "# yaml-language-server: $schema", "#")
	if err := misbehave(text); err != nil {
		return "", err
	}
	expanded, err := expand(text)
	if err != nil {
		return "", err
	}
	return expanded, check(expanded)
}

// resolvers returns the name servers of the machine: the real program wants one, though validating asks none.
func resolvers() []string {
	found := []string{}
	content, _ := os.ReadFile("/etc/resolv.conf")
	for _, line := range strings.Split(string(content), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "nameserver" {
			found = append(found, fields[1])
		}
	}
	return found
}

// expand replaces variables in the whole text, comments included.
func expand(text string) (string, error) {
	var out strings.Builder
	for {
		start := strings.IndexByte(text, '$')
		if start < 0 {
			out.WriteString(text)
			return out.String(), nil
		}
		out.WriteString(text[:start])
		text = text[start:]
		name, fallback, length := variable(text)
		if length == 0 { // no variable: a dollar, or two that stand for one
			out.WriteByte('$')
			text = text[min(len(text), 1+strings.Count(text[1:min(len(text), 2)], "$")):]
			continue
		}
		value, set := os.LookupEnv(name)
		switch {
		case set:
			out.WriteString(value)
		case fallback != nil:
			out.WriteString(*fallback)
		default:
			return "", fmt.Errorf("error looking key '%s' up: environment variable not found", name)
		}
		text = text[length:]
	}
}

// variable returns the name at the beginning of text, its default, and how many bytes it takes; 0 if there is none.
func variable(text string) (name string, fallback *string, length int) {
	if strings.HasPrefix(text, "${") {
		end := strings.IndexByte(text, '}')
		if end < 0 {
			return "", nil, 0
		}
		name = text[2:end]
		if split := strings.Index(name, ":-"); split > 0 {
			value := name[split+2:]
			return name[:split], &value, end + 1
		}
		return name, nil, end + 1
	}
	length = 1
	for length < len(text) && (text[length] == '_' || strings.ContainsRune(letters, rune(text[length]))) {
		length++
	}
	if length == 1 {
		return "", nil, 0
	}
	return text[1:length], nil, length
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
