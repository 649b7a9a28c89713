package keys_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"example.com/signet/keys"
)

func TestDamagedError(t *testing.T) {
	t.Parallel()
	seal := errors.New("the seal does not fit")
	causes := errors.Join(fmt.Errorf("row %q: %w", "-one", seal), fmt.Errorf("row %q: %w", "two", fs.ErrPermission))
	var damage error = &keys.DamagedError{KeyIDs: []string{"-one", "two"}, Cause: causes}
	const text = "damaged key: row \"-one\": the seal does not fit\nrow \"two\": permission denied"
	const hint = "restore the key from a backup, or give it up: issuer keys revoke -- -one"
	rows := []struct {
		name string
		err  error
		text string
	}{
		{"itself", damage, text},
		{"wrapped", fmt.Errorf("opening the ring: %w", damage), "opening the ring: " + text},
		{"beside another", errors.Join(keys.ErrNoKeys, damage), "no keys\n" + text},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if row.err.Error() != row.text {
				t.Errorf("got %q\nwant %q", row.err, row.text)
			}
			var damaged *keys.DamagedError
			if !errors.As(row.err, &damaged) || len(damaged.KeyIDs) != 2 {
				t.Errorf("got %v", damaged)
			}
			for _, want := range []error{keys.ErrDamaged, seal, fs.ErrPermission} {
				if !errors.Is(row.err, want) {
					t.Errorf("it is no %v", want)
				}
			}
			if errors.Is(row.err, keys.ErrKey) || errors.Is(row.err, keys.ErrUnknownKey) {
				t.Error("it is something else too")
			}
			if got := hintOf(row.err); got != hint {
				t.Errorf("hint %q", got)
			}
		})
	}
}

func TestWithHint(t *testing.T) {
	t.Parallel()
	plain := errors.New("no standby")
	err := keys.WithHint(fmt.Errorf("rotating: %w", plain), "make one")
	if err.Error() != "rotating: no standby" || !errors.Is(err, plain) || hintOf(err) != "make one" {
		t.Errorf("got %q, hint %q", err, hintOf(err))
	}
	if wrapped := fmt.Errorf("keys: %w", err); hintOf(wrapped) != "make one" || !errors.Is(wrapped, plain) {
		t.Errorf("wrapped: %q, hint %q", wrapped, hintOf(wrapped))
	}
	if outer := keys.WithHint(err, "ask somebody"); hintOf(outer) != "ask somebody" || outer.Error() != err.Error() {
		t.Errorf("the outer hint is not the one: %q", hintOf(outer)) // who knows more of the circumstances speaks first
	}
	if hintOf(plain) != "" {
		t.Errorf("the error from before has the hint %q", hintOf(plain))
	}
}
