//go:build linux

package main

import (
	"fmt"
	"strings"

	"example.com/signet/keys"
)

// How many tokens and requests there are at scale 1.
const (
	rotating         = 200    // tokens that are sent over and over
	rotationRequests = 20_000 // of them in a round
	freshRequests    = 6_000  // with a token each, in a round
	warmUpRequests   = 2_000  // of the rotating tokens, before a server is measured
)

// pool is the requests of one algorithm. No server process takes one of fresh twice.
type pool struct {
	alg      keys.Algorithm
	warmUp   [][]byte
	rotation [][]byte
	fresh    [][]byte
	forged   []byte // its token's signature is another token's
}

// pools signs the tokens of all algorithms and makes the requests.
func (i *issuer) pools(scale float64) ([]pool, error) {
	var all []pool
	for _, alg := range keys.Algorithms() {
		fresh := scaled(freshRequests, scale)
		tokens, err := i.signAll(alg, rotating+fresh)
		if err != nil {
			return nil, err
		}
		requests := make([][]byte, len(tokens))
		for k, token := range tokens {
			requests[k] = request(token)
		}
		all = append(all, pool{
			alg:      alg,
			warmUp:   cycle(requests[:rotating], scaled(warmUpRequests, scale)),
			rotation: cycle(requests[:rotating], scaled(rotationRequests, scale)),
			fresh:    requests[rotating:],
			forged:   request(forge(tokens[0], tokens[1])),
		})
	}
	return all, nil
}

func scaled(n int, scale float64) int { return max(1, int(scale*float64(n))) }

// cycle returns n requests: the given ones in turn, over and over.
func cycle(requests [][]byte, n int) [][]byte {
	cycled := make([][]byte, n)
	for i := range cycled {
		cycled[i] = requests[i%len(requests)]
	}
	return cycled
}

func request(token string) []byte {
	return fmt.Appendf(nil, "GET /orders HTTP/1.1\r\nHost: orders.example.com\r\nToken: %s\r\n\r\n", token)
}

// forge returns token with the signature of other, which does not fit it.
func forge(token, other string) string {
	return token[:strings.LastIndexByte(token, '.')] + other[strings.LastIndexByte(other, '.'):]
}
