package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// ParseUpstream reads the address of an application: http or https, without user, query and fragment.
func ParseUpstream(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errors.New("not a URL") // it may have a password in it
	case u.Scheme != "http" && u.Scheme != "https" && u.Opaque != "":
		return nil, errors.New("not a URL") // user:password@host is read as a scheme and the rest
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%.200q is neither http nor https", u.Redacted())
	case u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(address, "#"):
		return nil, errors.New("it has no host, or a user, query or fragment")
	}
	return u, nil
}

var (
	errConnect = errors.New("CONNECT asks for a tunnel")
	errTarget  = errors.New("the target is no path, or leads out of the upstream's")
)

// check refuses what is not to be passed on, whoever calls.
func (p *proxy) check(r *http.Request) error {
	switch {
	case r.ContentLength > p.cfg.MaxBody:
		return &http.MaxBytesError{Limit: p.cfg.MaxBody}
	case r.Method == http.MethodConnect:
		return errConnect
	case r.URL.Opaque != "", strings.Trim(p.cfg.Upstream.Path, "/") != "" && ascends(r.URL.Path):
		return errTarget
	}
	return nil
}

// ascends reports whether an application could take a segment of path, which is decoded already, for the one above.
func ascends(path string) bool {
	for segment := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if name, _, _ := strings.Cut(segment, ";"); name == ".." {
			return true
		}
	}
	return false
}

// isWebSocket reports whether the one protocol is asked for that may be switched to. In any other the caller could tell
// the application who calls: HTTP/2 in clear text (h2c) has headers that nobody here sees.
func isWebSocket(r *http.Request) bool {
	upgrade := r.Header["Upgrade"]
	return len(upgrade) == 1 && strings.EqualFold(upgrade[0], "websocket")
}
