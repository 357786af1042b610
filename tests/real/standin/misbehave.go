package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"regexp"
	"sort"
	"strings"
	"time"
)

// How it behaves once it serves: whether it gets ready, hears SIGTERM, and with what it ends then.
var ready, deaf, farewell = true, false, 0

var order = regexp.MustCompile(`(?m)^# stand-in: (\w+)$`)

// misbehave does what comments of the form `# stand-in: hang` tell it to.
func misbehave(text string) error {
	for _, match := range order.FindAllStringSubmatch(text, -1) {
		switch match[1] {
		case "hang":
			time.Sleep(time.Hour)
		case "flood":
			line := bytes.Repeat([]byte("all work and no play\n"), 3000)
			for written := 0; written < 1<<30; written += len(line) {
				os.Stdout.Write(line)
			}
		case "allocate":
			for kept := [][]byte{}; ; {
				kept = append(kept, bytes.Repeat([]byte{1}, 1<<24))
			}
		case "spawn":
			return spawn()
		case "panic":
			fmt.Fprintln(os.Stderr, "thread 'main' panicked")
			os.Exit(101)
		case "usage":
			fmt.Fprintln(os.Stderr, "error: the argument '--file <file>' cannot be used with '--config <config>'")
			os.Exit(2)
		case "silent":
			os.Exit(0)
		case "unready":
			ready = false
		case "stubborn":
			deaf = true
		case "sour":
			farewell = 3
		case "network":
			if _, err := net.DialTimeout("tcp", "192.0.2.1:80", 2*time.Second); err != nil {
				return fmt.Errorf("failed to fetch jwks: %v", err)
			}
		case "show":
			show()
		}
	}
	return nil
}

// spawn starts copies of itself until it may start no more.
func spawn() error {
	for started := 0; ; started++ {
		self := &os.ProcAttr{Files: []*os.File{nil, nil, nil}}
		hang := []string{os.Args[0], "--validate-only", "-f", "/dev/stdin"}
		if _, err := os.StartProcess(os.Args[0], hang, self); err != nil {
			return fmt.Errorf("no process after many: %t", started > 8)
		} else if started > 4096 {
			return fmt.Errorf("no limit on processes")
		}
	}
}

// show prints what a container lets its program see and do.
func show() {
	names := []string{}
	for _, entry := range os.Environ() {
		names = append(names, strings.SplitN(entry, "=", 2)[0])
	}
	sort.Strings(names)
	fmt.Println("environment:", strings.Join(names, " "))
	fmt.Println("user:", os.Getuid(), os.Getgid())
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, "CapEff") || strings.HasPrefix(line, "CapBnd") || strings.HasPrefix(line, "NoNewPrivs") {
			fmt.Println(strings.Join(strings.Fields(line), " "))
		}
	}
	interfaces, _ := net.Interfaces()
	for _, found := range interfaces {
		if addresses, _ := found.Addrs(); len(addresses) > 0 {
			fmt.Println("interface with an address:", found.Name)
		}
	}
	for _, folder := range []string{"/", "/app", "/gateway-bot", "/etc"} {
		err := os.WriteFile(folder+"/written", nil, 0o600)
		fmt.Printf("may write to %s: %t\n", folder, err == nil)
	}
	fmt.Println("resolvers:", strings.Join(resolvers(), " "))
}
