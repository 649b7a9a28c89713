package proxy

import (
	"io"
	"net/http"
	"time"
)

// patient is a ResponseWriter each of whose writes may take some time, instead of all of them together.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
}

// patiently lets each read of the request's body and each write of the answer take patience: the server's own timeouts
// are for whole requests, and would cut a stream.
func patiently(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	p := &patient{w, http.NewResponseController(w)}
	_ = p.control.EnableFullDuplex() // otherwise the server would take the rest of the body when the answer begins
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
	_ = p.control.SetWriteDeadline(time.Now().Add(patience))
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
	p *patient
}

func (b *patientBody) Read(data []byte) (int, error) {
	_ = b.p.control.SetReadDeadline(time.Now().Add(patience))
	n, err := b.ReadCloser.Read(data)
	if err == io.EOF {
		b.p.doNotHurry()
	}
	return n, err
}
