package proxy

import (
	"io"
	"net/http"
	"time"
)

// patient is a ResponseWriter whose connection may stay open as long as octets flow: the server's own timeouts are for
// whole requests, and would cut a stream.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
}

// patiently lets each read of the request's body and each write of the answer take limit, instead of all of them together
// what the server allows.
func patiently(w http.ResponseWriter, r *http.Request, limit time.Duration) http.ResponseWriter {
	p := &patient{w, http.NewResponseController(w), limit}
	if r.ContentLength == 0 {
		p.doNotHurry()
	} else {
		r.Body = &patientBody{r.Body, p}
	}
	return p
}

// Unwrap is for [http.ResponseController].
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *patient) WriteHeader(status int) {
	_ = p.control.SetWriteDeadline(time.Now().Add(p.limit))
	p.ResponseWriter.WriteHeader(status)
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
	p *patient
}

func (b *patientBody) Read(data []byte) (int, error) {
	_ = b.p.control.SetReadDeadline(time.Now().Add(b.p.limit))
	n, err := b.ReadCloser.Read(data)
	if err != nil {
		b.p.doNotHurry()
	}
	return n, err
}
