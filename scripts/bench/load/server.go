package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is one of the two that are compared, running.
type server struct {
	name    string
	address string
	private string // address of the issuer's private listener
	limits  string // the issuer's flags about limits
	log     *os.File
	cmd     *exec.Cmd
	ended   chan error
}

// wantedLimits are limits that are checked at each request and refuse none of them.
var wantedLimits = [][2]string{
	{"--limit-address-rate", "1000000"},
	{"--limit-client-rate", "1000000"},
	{"--limit-in-flight", "512"},
}

func startIssuer(ctx context.Context, s settings, dir string) (*server, error) {
	keys := filepath.Join(dir, "keys")
	for _, alg := range []string{"ES256", "RS256"} {
		generate := exec.CommandContext(ctx, s.issuer, "keys", "generate", "--alg", alg, "--keys-dir", keys)
		out, err := generate.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("making keys: %w: %s", err, out)
		}
	}
	help, err := exec.CommandContext(ctx, s.issuer, "--help").Output()
	if err != nil {
		return nil, fmt.Errorf("asking the issuer for its flags: %w", err)
	}
	limits := limitFlags(string(help))
	args := slices.Concat([]string{s.issuer, "--issuer", issuerID,
		"--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0",
		"--keys-dir", keys, "--registry", filepath.Join(dir, registryFile),
		"--log-format", "json", "--log-level", "info"}, limits)
	issuer, err := start(ctx, "Signet", s.core, dir, args)
	if err == nil {
		issuer.limits = strings.Join(limits, " ")
	}
	return issuer, err
}

// limitFlags returns the wanted limits that this issuer has.
func limitFlags(help string) []string {
	var flags []string
	for _, limit := range wantedLimits {
		if strings.Contains(help, limit[0]+" ") {
			flags = append(flags, limit[:]...)
		}
	}
	return flags
}

func startBare(ctx context.Context, s settings, dir string) (*server, error) {
	return start(ctx, "bare", s.core, dir, []string{s.bare, filepath.Join(dir, clientsFile)})
}

// start runs a server on one core, its standard error in a file, and waits until it listens.
func start(ctx context.Context, name, core, dir string, args []string) (*server, error) {
	if core != "" {
		args = append([]string{"taskset", "-c", core}, args...)
	}
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = []string{"GOMAXPROCS=1", "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	cmd.Stderr = log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 15 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	s := &server{name: name, log: log, cmd: cmd, ended: make(chan error, 1)}
	go func() { s.ended <- cmd.Wait() }()
	if err := s.await(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

const startTimeout = 60 * time.Second

// await reads the addresses from the log line that has them.
func (s *server) await() error {
	deadline := time.After(startTimeout)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-s.ended:
			s.ended <- err
			return fmt.Errorf("%s ended: %w: %.2000s", s.name, err, s.logged())
		case <-deadline:
			return fmt.Errorf("%s did not start: %.2000s", s.name, s.logged())
		case <-tick.C:
		}
		if s.address, s.private = addresses(s.logged()); s.address != "" {
			return nil
		}
	}
}

func (s *server) logged() []byte {
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

// addresses reads the first JSON line that has an address to listen on.
func addresses(log []byte) (public, private string) {
	for line := range bytes.Lines(log) {
		var said struct {
			Listen  string `json:"listen"`
			Private string `json:"private_listen"`
		}
		if json.Unmarshal(line, &said) == nil && said.Listen != "" {
			return said.Listen, said.Private
		}
	}
	return "", ""
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.ended
	_ = s.log.Close()
}

// cpu returns how long the server's threads have run, by the scheduler's own count in nanoseconds.
func (s *server) cpu() (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.cmd.Process.Pid))
	if err != nil || len(files) == 0 {
		return 0, errors.New("no /proc/PID/task/*/schedstat: this needs Linux")
	}
	var total time.Duration
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		ran, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading %s: %w", file, err)
		}
		total += time.Duration(ns)
	}
	return total, nil
}

// scrape reads the metrics, where there are any, as a collector would.
func (s *server) scrape() error {
	if s.private == "" {
		return nil
	}
	text, err := get("http://" + s.private + "/metrics")
	if err == nil && !bytes.Contains(text, []byte("signet_")) {
		err = errors.New("no metric of the issuer's")
	}
	return err
}

// checkLog proves that the issuer has written a line for each request, access log and audit in one, and empties the log so that
// it does not fill the disk.
func (s *server) checkLog(requests int) error {
	if lines := bytes.Count(s.logged(), []byte("\n")); s.private != "" && lines < requests {
		return fmt.Errorf("%s: %d lines in the log, want one for each of %d requests", s.name, lines, requests)
	}
	return s.log.Truncate(0)
}

func get(url string) ([]byte, error) {
	client := http.Client{Timeout: silence}
	response, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d: %.200s", url, response.StatusCode, text)
	}
	return text, err
}
