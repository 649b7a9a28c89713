package proxy

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// patient is a ResponseWriter whose connection may stay open as long as octets flow: the server's own timeouts are for
// whole requests, and would cut a stream.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
	own     http.Header  // what was there before the application said anything
	cleared bool         // it is no longer there
	body    *patientBody // nil when the request has none
}

// patiently lets each read of the request's body and each write of the answer take limit, instead of all of them
// together what the server allows.
func patiently(w http.ResponseWriter, r *http.Request, limit time.Duration) http.ResponseWriter {
	p := &patient{ResponseWriter: w, control: http.NewResponseController(w), limit: limit, own: w.Header().Clone()}
	if r.ContentLength == 0 {
		p.doNotHurry()
	} else {
		p.body = &patientBody{ReadCloser: r.Body, p: p}
		r.Body = p.body
	}
	return p
}

// Unwrap is for [http.ResponseController].
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *patient) WriteHeader(status int) {
	_ = p.control.SetWriteDeadline(time.Now().Add(p.limit))
	if status < http.StatusOK {
		p.cleared = true // [httputil.ReverseProxy] empties the header after each of these
	} else {
		p.complete()
	}
	p.ResponseWriter.WriteHeader(status)
}

// complete makes the header of the one answer that is no interim one.
func (p *patient) complete() {
	if p.cleared {
		for name, values := range p.own {
			p.Header()[name] = append(values, p.Header()[name]...)
		}
	}
	if p.broken() != nil || (p.body != nil && p.body.end.Load() == nil) {
		p.Header().Set("Connection", "close") // so that the server does not read the rest of the body before it answers
	}
}

// broken returns why the request's body could not be read, nil when it could.
func (p *patient) broken() error {
	if p.body == nil {
		return nil
	}
	if end := p.body.end.Load(); end != nil && end.error != io.EOF {
		return end
	}
	return nil
}

func (p *patient) Write(data []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(p.limit))
	return p.ResponseWriter.Write(data)
}

// doNotHurry takes the time limit off reading. The server goes on reading when the body has ended, to see whether the
// caller goes away, and would take the end of the time for that.
func (p *patient) doNotHurry() { _ = p.control.SetReadDeadline(time.Time{}) }

type patientBody struct {
	io.ReadCloser
	p   *patient
	end atomic.Pointer[callerError] // why no more is read
}

func (b *patientBody) Read(data []byte) (int, error) {
	_ = b.p.control.SetReadDeadline(time.Now().Add(b.p.limit))
	n, err := b.ReadCloser.Read(data)
	if err == nil {
		return n, nil
	}
	b.end.CompareAndSwap(nil, &callerError{err})
	if err == io.EOF {
		b.p.doNotHurry()
	} // else the limit stays: the server reads on, up to a point
	return n, err
}

// callerError is an error of reading what the caller sends.
type callerError struct{ error }

func (e *callerError) Unwrap() error { return e.error }
