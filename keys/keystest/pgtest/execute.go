package pgtest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// execute runs one command as the superuser. It speaks the protocol itself, as much of it as this needs, PostgreSQL's
// documentation, "Frontend/Backend Protocol": psql is a package of its own on some systems, and a driver is not the
// kit's to choose.
func (s *Server) execute(sql string) error {
	conn, err := net.DialTimeout("tcp", s.address(), time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	answers := bufio.NewReader(conn)
	const version = "\x00\x03\x00\x00" // 3.0
	startup := version + "user\x00" + superuser + "\x00database\x00postgres\x00\x00"
	if err := send(conn, "", startup); err != nil {
		return err
	}
	if err := untilReady(answers); err != nil {
		return err
	}
	if err := send(conn, "Q", sql+"\x00"); err != nil {
		return err
	}
	if err := untilReady(answers); err != nil {
		return fmt.Errorf("executing %q: %w", sql, err)
	}
	return send(conn, "X", "")
}

// send writes a message: its kind, which the first has none of, its length with that of the length, and its body.
func send(w io.Writer, kind, body string) error {
	message := binary.BigEndian.AppendUint32([]byte(kind), uint32(4+len(body)))
	_, err := w.Write(append(message, body...))
	return err
}

// untilReady reads messages up to ReadyForQuery. The error is that of ErrorResponse.
func untilReady(r io.Reader) (failed error) {
	for {
		var head struct {
			Kind   byte
			Length uint32
		}
		if err := binary.Read(r, binary.BigEndian, &head); err != nil {
			return firstOf(failed, err)
		}
		body, err := io.ReadAll(io.LimitReader(r, int64(head.Length)-4))
		if err != nil {
			return firstOf(failed, err)
		}
		switch head.Kind {
		case 'E':
			failed = fmt.Errorf("the server says %q", message(string(body)))
		case 'Z':
			return failed
		}
	}
}

// firstOf is for a server that hangs up after its error.
func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// message reads the text for people from the fields of ErrorResponse.
func message(fields string) string {
	for field := range strings.SplitSeq(fields, "\x00") {
		if text, ok := strings.CutPrefix(field, "M"); ok {
			return text
		}
	}
	return fields
}
