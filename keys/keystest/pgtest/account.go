package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// runAs returns whom to run PostgreSQL as: nil for ourselves, and an account of few rights when we are root, since
// PostgreSQL refuses to be.
func runAs() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if errors.As(err, new(user.UnknownUserError)) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking up the user %q: %w", name, err)
		}
		return credential(account)
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

func credential(account *user.User) (*syscall.Credential, error) {
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("reading the id of the user %q: %w", account.Username, err)
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("reading the group of the user %q: %w", account.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// chown gives a file to the account.
func chown(name string, cred *syscall.Credential) error {
	if cred == nil {
		return nil
	}
	return os.Chown(name, int(cred.Uid), int(cred.Gid))
}

// writeFile writes a file that is the account's and that nobody else can read.
func writeFile(name string, content []byte, cred *syscall.Credential) error {
	if err := os.WriteFile(name, content, 0o600); err != nil {
		return err
	}
	return chown(name, cred)
}
