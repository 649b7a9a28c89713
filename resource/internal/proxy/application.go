package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

const dial = 5 * time.Second // how long it may take to connect

func (cfg Config) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dial}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return patientConn{conn, cfg.Patience}, nil
}

func (cfg Config) transport() http.RoundTripper {
	return &http.Transport{
		DialContext:           cfg.dial,
		TLSHandshakeTimeout:   dial,
		ResponseHeaderTimeout: cfg.Timeout,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       time.Minute,
		DisableCompression:    true, // what the application encodes is the caller's to decode
	}
}

// patientConn is a connection to the application, which may not leave a write standing for longer than limit.
type patientConn struct {
	net.Conn
	limit time.Duration
}

func (c patientConn) Write(data []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(c.limit))
	return c.Conn.Write(data)
}

// answerBody is what the application sends: each read of it may take the proxy's patience.
type answerBody struct {
	io.ReadCloser
	p *proxy
	r *http.Request
}

func (b *answerBody) Read(data []byte) (int, error) {
	timer := time.AfterFunc(b.p.cfg.Patience, func() { _ = b.Close() })
	n, err := b.ReadCloser.Read(data)
	timer.Stop()
	if err != nil && err != io.EOF {
		b.p.cfg.Log.WarnContext(b.r.Context(), "the answer broke off", "cause", err, "request_id", b.p.cfg.ID(b.r))
	}
	return n, err
}
