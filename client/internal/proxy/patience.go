package proxy

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// patient is a ResponseWriter each of whose writes may take some time, instead of all of them together.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	body    *patientBody // nil when the request has none
}

// patiently lets each read of the request's body and each write of the answer take patience: the server's own timeouts
// are for whole requests, and would cut a stream.
func patiently(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	p := &patient{ResponseWriter: w, control: http.NewResponseController(w)}
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
	_ = p.control.SetWriteDeadline(time.Now().Add(patience))
	if status >= http.StatusOK && p.body != nil && !p.body.ended.Load() {
		p.Header().Set("Connection", "close") // otherwise the server would take the rest of the body before it answers
	}
	p.ResponseWriter.WriteHeader(status)
}

func (p *patient) Write(data []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(patience))
	return p.ResponseWriter.Write(data)
}

// doNotHurry takes the time limit off reading. The server reads on when the body has ended, to see whether the caller
// goes away, and would take the end of the time for that.
func (p *patient) doNotHurry() { _ = p.control.SetReadDeadline(time.Time{}) }

type patientBody struct {
	io.ReadCloser
	p     *patient
	ended atomic.Bool
}

func (b *patientBody) Read(data []byte) (int, error) {
	_ = b.p.control.SetReadDeadline(time.Now().Add(patience))
	n, err := b.ReadCloser.Read(data)
	if err == io.EOF {
		b.ended.Store(true)
		b.p.doNotHurry()
	}
	return n, err
}
