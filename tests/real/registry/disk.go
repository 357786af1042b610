package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// disk keeps blobs as files, and no more bytes of them than there is room for.
type disk struct {
	folder, room string
	one          sync.Mutex
	used         int64
}

func (d *disk) path(digest v1.Hash) string {
	return filepath.Join(d.folder, digest.Hex)
}

// Stat says the size; the name is the digest of what was proven when it came.
func (d *disk) Stat(_ context.Context, _ string, digest v1.Hash) (int64, error) {
	found, err := os.Stat(d.path(digest))
	if errors.Is(err, os.ErrNotExist) {
		return 0, registry.ErrNotFound
	} else if err != nil {
		return 0, err
	}
	return found.Size(), nil
}

func (d *disk) Get(_ context.Context, _ string, digest v1.Hash) (io.ReadCloser, error) {
	file, err := os.Open(d.path(digest))
	if errors.Is(err, os.ErrNotExist) {
		return nil, registry.ErrNotFound
	}
	return file, err
}

func (d *disk) Put(_ context.Context, _ string, digest v1.Hash, blob io.ReadCloser) error {
	file, err := os.CreateTemp(d.folder, "upload-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	taken, err := io.Copy(&bounded{d, file}, blob)
	if err = errors.Join(err, file.Close()); err != nil {
		d.give(taken)
		return err
	}
	return os.Rename(file.Name(), d.path(digest))
}

func (d *disk) take(bytes int64) error {
	d.one.Lock()
	defer d.one.Unlock()
	if d.room != "" {
		text, err := os.ReadFile(d.room)
		if err != nil {
			return err
		}
		room, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil {
			return err
		}
		if d.used+bytes > room {
			return fmt.Errorf("write %s: %w", d.folder, syscall.ENOSPC)
		}
	}
	d.used += bytes
	return nil
}

func (d *disk) give(bytes int64) {
	d.one.Lock()
	defer d.one.Unlock()
	d.used -= bytes
}

// bounded writes while there is room.
type bounded struct {
	disk *disk
	file io.Writer
}

func (b *bounded) Write(part []byte) (int, error) {
	if err := b.disk.take(int64(len(part))); err != nil {
		return 0, err
	}
	return b.file.Write(part)
}
