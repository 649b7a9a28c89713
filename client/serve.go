package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/spf13/cobra"

	"example.com/signet/client/internal/loopback"
	"example.com/signet/client/tokens"
	"example.com/signet/keys/remote"
)

func serveCommand(s *settings) *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve an API on loopback that calls the resource server with a token",
		Long: "Serve an API on loopback with one endpoint, GET /. When called, it obtains a token, calls the resource\n" +
			"server (--url) with it and passes the answer on.",
		Example: "  go run ./client serve &\n  curl http://127.0.0.1:9002/",
		Args:    arguments(0, 0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return serve(cmd, s, listen) },
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:9002", "loopback address to serve on")
	return cmd
}

func serve(cmd *cobra.Command, s *settings, address string) error {
	if err := remote.CheckURL(s.url); err != nil {
		return usage(err, "tokens are sent over https, or to loopback")
	}
	if err := checkListen(address); err != nil {
		return err
	}
	log := newLog(cmd.ErrOrStderr())
	source, err := s.sourceWithLog(cmd, s.url, log)
	if err != nil {
		return err
	}
	defer source.Close()
	listener, err := listen(cmd.Context(), address)
	if err != nil {
		return err
	}
	log.Info("client serves", "listen", listener.Addr().String(), "calls", s.url)
	server := loopback.Server{Handler: serveRoutes(source, s.url, log), Timeout: callTimeout + 5*time.Second, Log: log}
	return server.Serve(cmd.Context(), listener)
}

func checkListen(address string) error {
	if loopback.Is(address) {
		return nil
	}
	return usage(fmt.Errorf("--listen %q is not loopback", address),
		"whoever reaches this API acts as this client: it is for this machine only")
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	listener, err := loopback.Listen(ctx, address)
	if err != nil {
		return nil, usage(fmt.Errorf("--listen: %w", err), "choose another address with --listen")
	}
	return listener, nil
}

func serveRoutes(source *tokens.Source, url string, log *slog.Logger) http.Handler {
	router := chi.NewRouter()
	router.Get("/", func(rw http.ResponseWriter, r *http.Request) {
		w := &witness{base: http.DefaultTransport}
		client := remote.SameOrigin(&http.Client{Transport: source.Transport(w), Timeout: callTimeout})
		resp, err := get(r.Context(), client, url)
		if err != nil {
			log.Warn("calling the resource server failed", "cause", w.hide(err.Error()))
			status, text := answerFor(err)
			http.Error(rw, text, status)
			return
		}
		defer resp.Body.Close()
		if err := passOn(rw, resp); err != nil {
			log.Warn("passing the answer on failed", "cause", w.hide(err.Error()))
			panic(http.ErrAbortHandler) // the caller must not take a part of the answer for the whole
		}
	})
	return router
}

func get(ctx context.Context, client *http.Client, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}

// answerFor is what the caller is told when there is no answer to pass on.
func answerFor(err error) (int, string) {
	switch {
	case errors.Is(err, tokens.ErrUnreachable):
		return http.StatusServiceUnavailable, "the issuer cannot be reached"
	case errors.Is(err, tokens.ErrRefused), errors.Is(err, tokens.ErrAnswer), errors.Is(err, tokens.ErrCredential):
		return http.StatusBadGateway, "the issuer gave no token"
	}
	return http.StatusBadGateway, "the resource server cannot be reached"
}

// passOn copies status, type and body. Other headers are between the resource server and us.
func passOn(w http.ResponseWriter, resp *http.Response) error {
	for _, name := range []string{"Content-Type", "Content-Length"} {
		if value := resp.Header.Get(name); value != "" {
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(resp.StatusCode)
	_, err := io.Copy(w, resp.Body)
	return err
}
