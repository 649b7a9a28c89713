package keystest

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// FreeAddress returns an address of loopback, host:port, on which nobody listens, for a program that is told where to. Its
// port is below those that systems give to whoever asks for any, so that it is hardly taken before the program starts.
func FreeAddress() (address string, err error) {
	const least, most, tries = 20_000, 32_000, 100
	for range tries {
		var listener net.Listener
		address = fmt.Sprintf("127.0.0.1:%d", least+rand.IntN(most-least))
		if listener, err = net.Listen("tcp", address); err == nil {
			return address, listener.Close()
		}
	}
	return "", fmt.Errorf("finding a free port: %w", err)
}
