// Command trivy-db writes a vulnerability database in the form that Trivy reads: a bbolt file.
//
// Standard input holds a JSON array of entries. An entry is an array: the path of a bucket, then a key, then its
// value, such as ["wolfi", "openssl", "CVE-2026-0001", {"FixedVersion": "3.5.0-r1"}].
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	bolt "go.etcd.io/bbolt"
)

func main() {
	if len(os.Args) != 2 {
		fail(errors.New("usage: trivy-db FILE < ENTRIES"))
	}
	var entries [][]json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&entries); err != nil {
		fail(err)
	}
	file, err := bolt.Open(os.Args[1], 0o600, nil)
	if err != nil {
		fail(err)
	}
	if err := file.Update(func(tx *bolt.Tx) error { return write(tx, entries) }); err != nil {
		fail(err)
	}
	if err := file.Close(); err != nil {
		fail(err)
	}
}

func write(tx *bolt.Tx, entries [][]json.RawMessage) error {
	for _, entry := range entries {
		if len(entry) < 3 {
			return fmt.Errorf("an entry needs a bucket, a key and a value: %s", entry)
		}
		last := len(entry) - 1
		names := make([]string, last)
		for i := range names {
			if err := json.Unmarshal(entry[i], &names[i]); err != nil {
				return err
			}
		}
		bucket, err := tx.CreateBucketIfNotExists([]byte(names[0]))
		for i := 1; err == nil && i < last-1; i++ {
			bucket, err = bucket.CreateBucketIfNotExists([]byte(names[i]))
		}
		if err != nil {
			return err
		}
		if err := bucket.Put([]byte(names[last-1]), entry[last]); err != nil {
			return err
		}
	}
	return nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "trivy-db:", err)
	os.Exit(1)
}
