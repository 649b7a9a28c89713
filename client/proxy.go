package main

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/client/internal/loopback"
	"example.com/signet/client/internal/proxy"
	"example.com/signet/keys/remote"
)

func proxyCommand(s *settings) *cobra.Command {
	var address, upstream string
	cmd := &cobra.Command{
		Use:   "proxy --upstream URL",
		Short: "Pass the requests of programs on to a protected API, with a token",
		Long: "Listen on loopback, put a fresh token on every request and pass it on to the API at --upstream, so that a\n" +
			"program in any language calls a protected API and needs to know nothing of tokens. Whatever token a request\n" +
			"has is replaced. Streams and WebSocket pass. Pages of other sites in a browser on this machine are refused.",
		Example: "  go run ./client proxy --upstream http://127.0.0.1:9000 &\n  curl http://127.0.0.1:9003/whoami",
		Args:    arguments(0, 0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runProxy(cmd, s, address, upstream) },
	}
	cmd.Flags().StringVar(&address, "listen", "127.0.0.1:9003", "loopback address to serve on")
	cmd.Flags().StringVar(&upstream, "upstream", "", "address of the API, with the path that all its paths begin with")
	return cmd
}

func runProxy(cmd *cobra.Command, s *settings, address, upstream string) error {
	target, err := parseUpstream(upstream)
	if err != nil {
		return err
	}
	if err := checkListen(address); err != nil {
		return err
	}
	log := newLog(cmd.ErrOrStderr())
	source, err := s.sourceWithLog(cmd, upstream, log)
	if err != nil {
		return err
	}
	defer source.Close()
	listener, err := listen(cmd.Context(), address)
	if err != nil {
		return err
	}
	log.Info("client proxies", "listen", listener.Addr().String(), "upstream", upstream)
	handler := proxy.New(proxy.Config{Upstream: target, Source: source, Base: apiTransport(), Log: log})
	return loopback.Server{Handler: handler, Timeout: callTimeout, Log: log}.Serve(cmd.Context(), listener)
}

func parseUpstream(address string) (*url.URL, error) {
	const hint = "name the API that the requests are for: --upstream https://orders.example.com"
	if address == "" {
		return nil, usage(fmt.Errorf("no --upstream"), hint)
	}
	if err := remote.CheckURL(address); err != nil {
		return nil, usage(fmt.Errorf("--upstream: %w", err), "tokens are sent over https, or to loopback")
	}
	target, err := url.Parse(address)
	if err != nil || target.RawQuery != "" || target.ForceQuery {
		return nil, usage(fmt.Errorf("--upstream %.200q has a query", address), hint)
	}
	return target, nil
}

// apiTransport leaves bodies as they are encoded: that is between the program and the API.
func apiTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     time.Minute,
		ForceAttemptHTTP2:   true,
		DisableCompression:  true,
	}
}
