package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// behaviours are ways of answering that are too long for a script, or no answer. waited is closed when the first request
// to a slow one is there.
func behaviours(waited func()) map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"slow": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // so that the server sees the caller go
			waited()
			<-r.Context().Done()
		},
		"huge": func(w http.ResponseWriter, _ *http.Request) {
			line := []byte(strings.Repeat(" ", 1<<16))
			for range 1 << 14 { // 1 GB
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		},
		"resets": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		},
		"html":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<!DOCTYPE html><title>Log in</title>") },
		"behind":  refusing(-10 * time.Minute),
		"ahead":   refusing(10 * time.Minute),
		"opaque":  granting(opaqueToken, 600),
		"endless": granting(opaqueToken, 0),
	}
}

// refusing says no, by a clock that is off.
func refusing(off time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write(mustJSON(map[string]string{"error": "invalid_client"}))
	}
}

// granting gives this token, which lives for some seconds, or without saying how long.
func granting(token string, seconds int) http.HandlerFunc {
	answer := map[string]any{"access_token": token, "token_type": "bearer", "scope": "read <all> & more"}
	if seconds > 0 {
		answer["expires_in"] = seconds
	}
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(mustJSON(answer)) }
}
