package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// failed answers when the application did not. The caller learns no more than that.
func (p *proxy) failed(w http.ResponseWriter, r *http.Request, cause error) {
	if waiting, ok := w.(*patient); ok && waiting.broken() != nil {
		cause = waiting.broken() // it ends the request's context too, and that may be noticed first
	}
	status, text := answerFor(cause)
	p.cfg.Log.WarnContext(r.Context(), "passing on failed", "status", status, "cause", cause, "request_id", p.cfg.ID(r))
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, text, status)
}

// answerFor is the one table from cause to answer.
func answerFor(cause error) (status int, text string) {
	var tooLarge *http.MaxBytesError
	var fromCaller *callerError
	var timeout net.Error
	isTimeout := errors.As(cause, &timeout) && timeout.Timeout()
	switch {
	case errors.As(cause, &tooLarge):
		return http.StatusRequestEntityTooLarge, "the request is too large"
	case errors.Is(cause, errConnect):
		return http.StatusMethodNotAllowed, "method not allowed"
	case errors.Is(cause, errTarget):
		return http.StatusBadRequest, "the target of the request is not allowed"
	case errors.As(cause, &fromCaller) && isTimeout:
		return http.StatusRequestTimeout, "the request does not go on"
	case errors.As(cause, &fromCaller):
		return http.StatusBadRequest, "the request is malformed"
	case errors.Is(cause, context.Canceled):
		return statusCallerGone, "the request was given up"
	case isTimeout:
		return http.StatusGatewayTimeout, "the application does not answer"
	}
	return http.StatusBadGateway, "the application cannot be reached"
}

// statusCallerGone is what nginx writes in its log for a caller who did not wait. Nobody receives it.
const statusCallerGone = 499
