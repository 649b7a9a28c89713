//go:build linux

package drive

import (
	"errors"
	"testing"
)

func TestParseAnswer(t *testing.T) {
	tests := []struct {
		name, answer string
		status       int
		body         string
		complete     bool
		err          error
	}{
		{"nothing", "", 0, "", false, nil},
		{"half a head", "HTTP/1.1 200 OK\r\nContent-Len", 0, "", false, nil},
		{"no length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, "", false, errHead},
		{"no status", "HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 0, "", false, errHead},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo", 200, "bo", false, nil},
		{"whole", "HTTP/1.1 401 Unauthorized\r\nDate: now\r\nContent-Length: 4\r\nA: b\r\n\r\nbody", 401, "body", true, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body, complete, err := parseAnswer([]byte(tt.answer))
			if status != tt.status || string(body) != tt.body || complete != tt.complete || !errors.Is(err, tt.err) {
				t.Errorf("got %d %q %v %v", status, body, complete, err)
			}
		})
	}
}
