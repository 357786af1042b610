package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	bindsAfter = 20 * time.Millisecond
	readyAfter = 40 * time.Millisecond
)

// run serves readiness as the real program does: refused, then 500, then 200, to GET alone; until SIGTERM, and then 0.
func run(config string) {
	started := time.Now()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	time.Sleep(bindsAfter)
	listener, err := net.Listen("tcp", address(config))
	if err != nil {
		fmt.Fprintf(os.Stderr, "Error: %v\n", err)
		os.Exit(1)
	}
	go http.Serve(listener, http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		switch {
		case request.URL.Path != "/healthz/ready":
			answer.WriteHeader(http.StatusNotFound)
		case request.Method != http.MethodGet:
			answer.WriteHeader(http.StatusMethodNotAllowed)
		case !ready || time.Since(started) < readyAfter:
			answer.WriteHeader(http.StatusInternalServerError)
		}
	}))
	for range stop {
		if !deaf {
			os.Exit(farewell)
		}
	}
}

// address returns where the config wants readiness to be asked.
func address(config string) string {
	var document struct {
		Config struct {
			ReadinessAddr string `yaml:"readinessAddr"`
		}
	}
	if err := yaml.Unmarshal([]byte(config), &document); err != nil || document.Config.ReadinessAddr == "" {
		return "0.0.0.0:15021"
	}
	return document.Config.ReadinessAddr
}
