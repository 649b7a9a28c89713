package main

import (
	"io"
	"log/slog"
	"os"

	"example.com/signet/issuer/internal/config"
)

// newLog writes text for people at a terminal, JSON for machines elsewhere.
func newLog(s *config.Settings, stderr io.Writer) *slog.Logger { return logAt(s.LogLevel, s, stderr) }

// newAudit writes the audit trail, in the log and at every level: it is no talk that somebody could turn down.
func newAudit(s *config.Settings, stderr io.Writer) *slog.Logger {
	return logAt(slog.LevelDebug, s, stderr)
}

func logAt(level slog.Level, s *config.Settings, stderr io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "text" || (s.LogFormat == "auto" && isTerminal(stderr)) {
		return slog.New(slog.NewTextHandler(stderr, options))
	}
	return slog.New(slog.NewJSONHandler(stderr, options))
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
