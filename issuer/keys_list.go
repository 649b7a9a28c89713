package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/keeper"
	"example.com/signet/keys"
)

func listCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Show the schedule: which key signs, and what happens next and when",
		Example: "  issuer keys list\n  issuer keys list -o json",
		Args:    noArgs,
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withKeys(cmd, s, reading, func(o keeper.Operator) error {
			ring, damage := o.Store.Read()
			if ring == nil {
				return keys.WithHint(damage, noKeysHint(s))
			}
			now := time.Now()
			surveys := o.Policy.Survey(ring, now)
			err := printAs(cmd.OutOrStdout(), *output, listAll(surveys),
				func(w io.Writer) error { return listText(w, surveys, now) })
			return errors.Join(err, damage)
		})
	}
	return cmd
}

// listed is a key as list -o json shows it.
type listed struct {
	Algorithm   keys.Algorithm `json:"alg"`
	KeyID       string         `json:"kid"`
	State       keys.State     `json:"state"`
	SignsFrom   time.Time      `json:"signs_from"`
	PublishedAt time.Time      `json:"published_at"`
	RemovedAt   time.Time      `json:"removed_at,omitzero"`
}

func listAll(surveys []keys.Survey) []listed {
	all := []listed{}
	for _, survey := range surveys {
		for _, k := range survey.Keys {
			all = append(all, listed{survey.Algorithm, k.Key.ID(), k.State, k.SignsFrom.UTC(), k.PublishedAt.UTC(), k.DueAt.UTC()})
		}
	}
	return all
}

func listText(w io.Writer, surveys []keys.Survey, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ALG\tSTATE\tSIGNS FROM\tREMOVED\tKID")
	for _, survey := range surveys {
		for _, k := range survey.Keys {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", survey.Algorithm, k.State, stamp(k.SignsFrom), stamp(k.DueAt), k.Key.ID())
		}
	}
	problems := []error{table.Flush()}
	for _, survey := range surveys {
		_, err := fmt.Fprintf(w, "\n%s\n%s\n", timeline(survey, now), nextEvent(survey, now))
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

const timelineWidth = 60

// timeline draws the life of each key of one algorithm: dots while it is published, # while it signs, - while it is
// retired, and a | for now.
func timeline(survey keys.Survey, now time.Time) string {
	from, to := now, now
	for _, k := range survey.Keys {
		for _, t := range []time.Time{k.SignsFrom, k.PublishedAt, k.DueAt} {
			if !t.IsZero() {
				from, to = earlier(from, t), later(to, t)
			}
		}
	}
	to = to.Add(to.Sub(from)/10 + time.Second) // room for what has no end yet
	column := func(t time.Time) int { return int(int64(timelineWidth) * int64(t.Sub(from)) / int64(to.Sub(from))) }
	var lines strings.Builder
	fmt.Fprintf(&lines, "%s from %s to %s   . published  # signs  - retired  | now", survey.Algorithm, stamp(from), stamp(to))
	for i, k := range survey.Keys {
		signsTo, goneAt := to, to
		if i+1 < len(survey.Keys) {
			signsTo, goneAt = survey.Keys[i+1].SignsFrom, k.DueAt
		}
		line := []byte(strings.Repeat(" ", timelineWidth))
		fill(line, column(earlier(k.PublishedAt, k.SignsFrom)), column(k.SignsFrom), '.')
		fill(line, column(k.SignsFrom), column(signsTo), '#')
		fill(line, column(signsTo), column(goneAt), '-')
		fill(line, column(now), column(now)+1, '|')
		fmt.Fprintf(&lines, "\n  %-8.8s %s", k.Key.ID(), line)
	}
	return lines.String()
}

func fill(line []byte, from, to int, with byte) {
	for i := max(from, 0); i < min(max(to, from+1), len(line)) && (from < to || with == '|'); i++ {
		line[i] = with
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// nextEvent says what happens next, in words.
func nextEvent(survey keys.Survey, now time.Time) string {
	when := func(t time.Time) string { return fmt.Sprintf("%s UTC, in %v", stamp(t), t.Sub(now).Round(time.Second)) }
	standby := survey.Standby()
	switch {
	case standby != nil && survey.Next.Equal(standby.SignsFrom):
		return "next: " + standby.Key.ID() + " signs from " + when(standby.SignsFrom)
	case !survey.Make.IsZero():
		return "next: a standby is missing; the running issuer makes it, to sign from " + when(survey.Make)
	case !survey.Next.IsZero():
		return "next: a retired key is removed at " + when(survey.Next)
	}
	return "next: nothing"
}
