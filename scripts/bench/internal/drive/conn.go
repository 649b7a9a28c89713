//go:build linux

package drive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"syscall"
	"time"
)

// conn is one connection. It speaks just enough HTTP/1.1 to cost next to nothing.
type conn struct {
	fd     int
	start  time.Time      // of the request that waits for its answer
	buffer [16 << 10]byte // what has come of the answer
	filled int
}

var (
	errShortWrite = errors.New("the request does not fit into the socket's buffer")
	errTooLong    = errors.New("the answer is longer than 16 KiB")
	errHead       = errors.New("the answer has no status or no Content-Length")
)

func (c *conn) send(request []byte) error {
	c.start, c.filled = time.Now(), 0
	n, err := syscall.Write(c.fd, request)
	if err == nil && n < len(request) {
		err = errShortWrite
	}
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	return nil
}

// receive reads what is there. The body is valid until the next call.
func (c *conn) receive() (status int, body []byte, complete bool, err error) {
	if c.filled == len(c.buffer) {
		return 0, nil, false, errTooLong
	}
	n, err := syscall.Read(c.fd, c.buffer[c.filled:])
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return 0, nil, false, nil
	case err == nil && n == 0:
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, nil, false, fmt.Errorf("receiving: %w", err)
	}
	c.filled += n
	return parseAnswer(c.buffer[:c.filled])
}

// parseAnswer reads a whole answer; complete says whether it has all come. The servers' answers are short, so their
// length is always in the head.
func parseAnswer(answer []byte) (status int, body []byte, complete bool, err error) {
	head, body, complete := bytes.Cut(answer, []byte("\r\n\r\n"))
	if !complete {
		return 0, nil, false, nil
	}
	_, after, _ := bytes.Cut(head, []byte("\r\nContent-Length: "))
	digits, _, _ := bytes.Cut(after, []byte("\r\n"))
	length, err := strconv.Atoi(string(digits))
	first, _, _ := bytes.Cut(head, []byte("\r\n"))
	_, after, _ = bytes.Cut(first, []byte(" "))
	digits, _, _ = bytes.Cut(after, []byte(" "))
	status, errStatus := strconv.Atoi(string(digits))
	if err != nil || errStatus != nil {
		return 0, nil, false, fmt.Errorf("%w: %.200q", errHead, head)
	}
	return status, body, len(body) >= length, nil
}
