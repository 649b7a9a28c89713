package main_test

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Whoever does not want to type what a command waits for can end it.
func TestInterruptedWhileReadingInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, args := range [][]string{
		{"inspect", "-"},
		{"verify", "-", "--audience", "a"},
		{"token", "--key", "-"},
		{"token", "--secret-file", "-"},
		{"call", "--data", "@-", "http://127.0.0.1:1/"},
	} {
		for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			t.Run(strings.Join(args, " ")+" "+signal.String(), func(t *testing.T) {
				t.Parallel()
				cmd := exec.Command(w.bin+"/client", args...)
				cmd.Dir, cmd.Env = w.dir, []string{"HOME=" + w.dir}
				silent, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				defer silent.Close()
				var stderr bytes.Buffer
				cmd.Stdout, cmd.Stderr = io.Discard, &stderr
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					_ = cmd.Wait()
				}()
				deadline := time.After(patience)
				for again := time.NewTicker(100 * time.Millisecond); ; { // it may not have begun to listen to signals
					select {
					case <-ended:
						if got := cmd.ProcessState.ExitCode(); got != 1 && got != -1 {
							t.Errorf("exit code %d: %s", got, stderr.String())
						}
						return
					case <-again.C:
						_ = cmd.Process.Signal(signal)
					case <-deadline:
						_ = cmd.Process.Kill()
						t.Fatal("it goes on waiting")
					}
				}
			})
		}
	}
}
