package main_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// scripts/demo.sh --keep leaves both programs running, and what it prints stops them.
func TestDemoKeep(t *testing.T) {
	r := newReader(t)
	out, err := r.command("scripts/demo.sh --keep").Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, stop, found := strings.Cut(string(out), "Stop:  ")
	if !found {
		t.Fatalf("no way to stop it in:\n%s", out)
	}
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			_ = exec.Command("sh", "-c", stop).Run()
		}
	})
	_, try, _ := strings.Cut(string(out), "curl -H ")
	try, _, _ = strings.Cut(try, "\n")
	whoami, err := exec.Command("sh", "-c", "cd "+r.dir+" && curl -sf -H "+try).CombinedOutput()
	if err != nil || !strings.Contains(string(whoami), `"client_id": "demo"`) {
		t.Errorf("the command to try: curl -H %s: %v\n%s", try, err, whoami)
	}
	if out, err := exec.Command("sh", "-c", stop).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", stop, err, out)
	}
	stopped = true
	_, address, _ := strings.Cut(try, "http://")
	address, _, _ = strings.Cut(address, "/")
	eventually(t, "both have stopped", func() bool {
		resp, err := http.Get("http://" + address + "/")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err != nil
	})
}

// A taken port is named, with who has it, before anything is made or started.
func TestDemoPortTaken(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Skipf("what listens where is looked up in /proc or with lsof: %v", err)
	}
	pair := freePair(t)
	cmd := exec.Command("../scripts/demo.sh")
	cmd.Env = append(os.Environ(), "ISSUER_PORT="+pair[0], "RESOURCE_PORT="+port)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("exit 0")
	}
	for _, want := range []string{
		"error: port " + port + " is taken by " + strings.TrimSpace(string(self)), "hint: stop it, or choose other ports",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("without %q:\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "building") {
		t.Errorf("it went on:\n%s", out)
	}
}

func TestDemoUsage(t *testing.T) {
	rows := []struct {
		name, option string
		code         int
	}{
		{"help", "--help", 0},
		{"unknown option", "--kep", 2},
	}
	for _, row := range rows {
		cmd := exec.Command("../scripts/demo.sh", row.option)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != row.code || !strings.Contains(string(out), "Usage: scripts/demo.sh") {
			t.Errorf("%s: exit %d\n%s", row.name, code, out)
		}
	}
}
