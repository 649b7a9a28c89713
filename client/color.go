package main

import (
	"io"
	"os"
)

// colorsWanted returns whether to write colours to w: only to a terminal, and not when NO_COLOR is set or the terminal
// says that it is dumb.
func colorsWanted(getenv func(string) string) func(w io.Writer) bool {
	return func(w io.Writer) bool {
		return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && isTerminal(w)
	}
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

const (
	red    = "1;31"
	yellow = "33"
)

// label returns a word in a colour (ECMA-48 §8.3.117), or plain.
func label(word, color string, colored bool) string {
	if !colored {
		return word
	}
	return "\x1b[" + color + "m" + word + "\x1b[0m"
}
