package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

const superuser = "postgres"

// configuration is for speed: without fsync what was written is safe from the death of every process, for the kernel
// has it. full_page_writes stays on: a killed process may have written half a page.
const configuration = `
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 60
shared_buffers = 32MB
fsync = off
log_checkpoints = off
`

// accounts are what the cluster has besides its superuser. Each line is a command.
const accounts = `CREATE ROLE signet LOGIN
CREATE DATABASE signet OWNER signet
`

// template is a cluster that was never started, in memory: making one takes over a second, writing it a tenth of that,
// and nothing is left to remove when the tests end.
type template []file

type file struct {
	name    string // within the data directory
	content []byte // nil for a directory
}

var made struct {
	sync.Mutex
	template template
}

// newTemplate makes the template, once in a process.
func newTemplate(bin string, cred *syscall.Credential) (template, error) {
	made.Lock()
	defer made.Unlock()
	if made.template != nil {
		return made.template, nil
	}
	room, err := newRoom(cred)
	if err != nil {
		return nil, err
	}
	defer func() { _ = room.remove() }()
	data := filepath.Join(room.dir, "data")
	if err := initialize(bin, data, cred); err != nil {
		return nil, err
	}
	made.template, err = read(data)
	return made.template, err
}

// initialize makes a cluster with its accounts, and needs neither a server nor psql for it.
func initialize(bin, data string, cred *syscall.Credential) error {
	initdb := command(bin, "initdb", filepath.Dir(data), cred, "-D", data, "-U", superuser, "-A", "trust",
		"-E", "UTF8", "--locale=C", "--wal-segsize=1", "--no-sync", "--no-instructions")
	if output, err := run(initdb); err != nil {
		return fmt.Errorf("running %s: %w: %s", initdb.Path, err, output)
	}
	single := command(bin, "postgres", filepath.Dir(data), cred, "--single", "-F", "-D", data, "postgres")
	single.Stdin = strings.NewReader(accounts)
	output, err := run(single)
	if err == nil && bytes.Contains(output, []byte("ERROR:")) { // it goes on and exits with 0
		err = errors.New("a command failed")
	}
	if err != nil {
		return fmt.Errorf("running %s --single: %w: %s", single.Path, err, output)
	}
	return nil
}

// run runs a program on a thread that waits for it, see startPostmaster.
func run(cmd *exec.Cmd) (output []byte, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.CombinedOutput()
}

// command returns a program of PostgreSQL's. Variables as PGDATA are not to reach it, and it starts where the account
// can be.
func command(bin, name, dir string, cred *syscall.Credential, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Dir = dir
	cmd.SysProcAttr = attributes(cred)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "PG") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	return cmd
}

func read(data string) (files template, err error) {
	err = filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f := file{}
		if f.name, err = filepath.Rel(data, path); err != nil {
			return err
		}
		if !entry.IsDir() {
			f.content, err = os.ReadFile(path)
		}
		files = append(files, f)
		return err
	})
	return files, err
}

// write makes the cluster of the template in a directory that is not yet there.
func (files template) write(data string, settings []string, cred *syscall.Credential) error {
	for _, f := range files {
		name := filepath.Join(data, f.name)
		switch {
		case f.content == nil:
			if err := errors.Join(os.Mkdir(name, 0o700), chown(name, cred)); err != nil {
				return err
			}
			continue
		case f.name == "postgresql.conf":
			f.content = []byte(string(f.content) + configuration + strings.Join(settings, "\n") + "\n")
		}
		if err := writeFile(name, f.content, cred); err != nil {
			return err
		}
	}
	return nil
}
