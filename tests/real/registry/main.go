// A registry on loopback, for tests: go-containerregistry's own, with referrers, and with what others do where asked.
//
// Each request that is done is a line `METHOD TARGET STATUS` on standard output.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/registry"
)

const mostOfAManifest = 8 << 20

var tagged = regexp.MustCompile(`^/v2/(.+)/manifests/([^:/]+)$`)

func main() {
	port := flag.Int("port", 0, "where it listens on 127.0.0.1")
	referrers := flag.Bool("referrers", true, "whether it has the API for referrers")
	immutable := flag.Bool("immutable", false, "refuse to push a tag that is there, as ECR does, whatever is pushed")
	login := flag.String("login", "", "USER:PASSWORD without which nobody may push; everybody may pull")
	folder := flag.String("blobs", "", "keep blobs in this folder instead of in memory")
	room := flag.String("room", "", "with -blobs: a file with the number of bytes that all blobs may have, read at each push")
	flag.Parse()

	options := []registry.Option{
		registry.Logger(log.New(io.Discard, "", 0)),
		registry.WithReferrersSupport(*referrers),
	}
	if *folder != "" {
		options = append(options, registry.WithBlobHandler(&disk{folder: *folder, room: *room}))
	}
	handler := whole(registry.New(options...))
	if *immutable {
		handler = onceEach(handler)
	}
	if *login != "" {
		handler = pushedBy(*login, handler)
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	if err := http.Serve(listener, logged(handler, os.Stdout)); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// whole takes a manifest when all of it came, and under a digest only what hashes to it, as registries that are in use
// do: go-containerregistry's own keeps what a caller had sent when it was killed.
func whole(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		_, name, found := strings.Cut(request.URL.Path, "/manifests/")
		if !found || request.Method != http.MethodPut {
			inner.ServeHTTP(answer, request)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(answer, request.Body, mostOfAManifest))
		if err != nil {
			refuse(answer, http.StatusBadRequest, "MANIFEST_INVALID", err.Error())
			return
		}
		digest := fmt.Sprintf("sha256:%x", sha256.Sum256(body))
		if strings.Contains(name, ":") && name != digest {
			refuse(answer, http.StatusBadRequest, "DIGEST_INVALID", "the body is "+digest)
			return
		}
		request.Body = io.NopCloser(bytes.NewReader(body))
		inner.ServeHTTP(answer, request)
	})
}

func refuse(answer http.ResponseWriter, status int, code, message string) {
	answer.Header().Set("Content-Type", "application/json; charset=utf-8")
	answer.WriteHeader(status)
	json.NewEncoder(answer).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}

// onceEach lets each tag be pushed once. Two that push the same one at once are one after the other.
func onceEach(inner http.Handler) http.Handler {
	var one sync.Mutex
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		named := tagged.FindStringSubmatch(request.URL.Path)
		if named == nil || request.Method != http.MethodPut {
			inner.ServeHTTP(answer, request)
			return
		}
		one.Lock()
		defer one.Unlock()
		seen := httptest.NewRecorder()
		inner.ServeHTTP(seen, httptest.NewRequest(http.MethodHead, request.URL.Path, nil))
		if seen.Code != http.StatusOK {
			inner.ServeHTTP(answer, request)
			return
		}
		refuse(answer, http.StatusBadRequest, "TAG_INVALID", fmt.Sprintf("The image tag '%s' already exists in the '%s' "+
			"repository and cannot be overwritten because the tag is immutable.", named[2], named[1]))
	})
}

// pushedBy asks for a login before anything is written, as GHCR does for a public package.
func pushedBy(login string, inner http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		user, password, _ := request.BasicAuth()
		reads := request.Method == http.MethodGet || request.Method == http.MethodHead
		if reads || user+":"+password == login {
			inner.ServeHTTP(answer, request)
			return
		}
		answer.Header().Set("WWW-Authenticate", `Basic realm="tests"`)
		refuse(answer, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	})
}

// logged writes a line for each request when it is done.
func logged(inner http.Handler, out io.Writer) http.Handler {
	var one sync.Mutex
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		kept := &status{ResponseWriter: answer, code: http.StatusOK}
		inner.ServeHTTP(kept, request)
		one.Lock()
		defer one.Unlock()
		fmt.Fprintf(out, "%s %s %d\n", request.Method, strings.ReplaceAll(request.URL.RequestURI(), "\n", ""), kept.code)
	})
}

type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}
