// Command ctlog is a Certificate Transparency log (RFC 6962, static CT API) that keeps its tiles in a folder.
//
//	ctlog ADDRESS KEY.pem ROOTS.pem FOLDER
package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/transparency-dev/tessera"
	tiles "github.com/transparency-dev/tessera/storage/posix"
	antispam "github.com/transparency-dev/tessera/storage/posix/antispam"
	"github.com/transparency-dev/tesseract"
	"github.com/transparency-dev/tesseract/storage"
	issuers "github.com/transparency-dev/tesseract/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

const (
	origin   = "ctlog.test"
	patience = 10 * time.Second
	longest  = 64 << 10 // bytes of a certificate chain
)

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: ctlog ADDRESS KEY.pem ROOTS.pem FOLDER")
	}
	if err := serve(context.Background(), os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, address, keyFile, rootsFile, folder string) error {
	key, err := readKey(keyFile)
	if err != nil {
		return err
	}
	open := func(ctx context.Context, signer note.Signer) (*storage.CTStorage, error) {
		return openLog(ctx, signer, folder)
	}
	accepted := tesseract.ChainValidationConfig{RootsPEMFile: rootsFile, ExtKeyUsages: "CodeSigning"}
	limits := tesseract.LogHandlerOpts{DedupRL: -1, MaxCertChainBytes: longest}
	handler, err := tesseract.NewLogHandler(ctx, origin, key, accepted, open, patience, false, "", limits)
	if err != nil {
		return err
	}
	server := http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: patience}
	return server.ListenAndServe()
}

// openLog makes the log in folder, or goes on with the one that is there.
func openLog(ctx context.Context, signer note.Signer, folder string) (*storage.CTStorage, error) {
	driver, err := tiles.New(ctx, tiles.Config{Path: folder})
	if err != nil {
		return nil, err
	}
	seen, err := antispam.NewAntispam(ctx, filepath.Join(folder, "seen"), antispam.AntispamOpts{})
	if err != nil {
		return nil, err
	}
	options := tessera.NewAppendOptions().
		WithCTLayout().
		WithCheckpointSigner(signer).
		WithAntispam(256, seen).
		WithBatching(16, 10*time.Millisecond).
		WithCheckpointInterval(100 * time.Millisecond)
	appender, _, reader, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		return nil, err
	}
	known, err := issuers.NewIssuerStorage(ctx, folder)
	if err != nil {
		return nil, err
	}
	return storage.NewCTStorage(ctx, &storage.CTStorageOptions{Appender: appender, Reader: reader, IssuerStorage: known})
}

// readKey reads a private key: PKCS #8 in PEM.
func readKey(path string) (crypto.Signer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New(path + " holds no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New(path + " holds a key that cannot sign")
	}
	return signer, nil
}
