// Command memorylog is Trillian, as Rekor v1 needs it below itself: its log server and its sequencer in one process
// that keeps everything in memory.
//
//	memorylog ADDRESS
package main

import (
	"context"
	"log"
	"net"
	"os"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/extension"
	sequencer "github.com/google/trillian/log"
	"github.com/google/trillian/monitoring"
	"github.com/google/trillian/quota"
	"github.com/google/trillian/server"
	"github.com/google/trillian/server/admin"
	"github.com/google/trillian/server/interceptor"
	"github.com/google/trillian/storage/memory"
	"github.com/google/trillian/util/clock"
	"google.golang.org/grpc"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: memorylog ADDRESS")
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	metrics := monitoring.InertMetricFactory{}
	trees := memory.NewTreeStorage()
	parts := extension.Registry{
		AdminStorage:  memory.NewAdminStorage(trees),
		LogStorage:    memory.NewLogStorage(trees, metrics),
		QuotaManager:  quota.Noop(),
		MetricFactory: metrics,
	}
	rounds := sequencer.OperationInfo{
		Registry:    parts,
		BatchSize:   16,
		NumWorkers:  1,
		RunInterval: 20 * time.Millisecond,
		TimeSource:  clock.System,
	}
	sequence := sequencer.NewSequencerManager(parts, 0)
	go sequencer.NewOperationManager(rounds, sequence).OperationLoop(context.Background())

	calls := grpc.NewServer(grpc.UnaryInterceptor(interceptor.ErrorWrapper))
	trillian.RegisterTrillianLogServer(calls, server.NewTrillianLogRPCServer(parts, clock.System))
	trillian.RegisterTrillianAdminServer(calls, admin.New(parts, nil))
	log.Fatal(calls.Serve(listener))
}
