package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// heartbeat is the longest silence: after it the last line is said again with
// the time that has passed.
const heartbeat = 20 * time.Second

// progress prints one line per step with the time since the start. On a
// terminal the last line is live: it shows a running clock. Elsewhere lines
// are plain, and a long step is repeated every heartbeat.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	live  bool
	start time.Time
	last  string
	since time.Time
	stop  chan struct{}
	done  chan struct{}
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, live: isTerminal(w) && os.Getenv("CI") == "", start: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	go p.tick()
	return p
}

// Printf starts a new step.
func (p *progress) Printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finishLine()
	p.last, p.since = fmt.Sprintf(format, args...), time.Now()
	if p.live {
		p.draw()
		return
	}
	fmt.Fprintf(p.w, "%s %s\n", p.clock(), p.last)
}

// Close ends the live line.
func (p *progress) Close() {
	close(p.stop)
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finishLine()
	p.last = ""
}

func (p *progress) finishLine() {
	if p.live && p.last != "" {
		fmt.Fprintf(p.w, "\r\033[K%s %s (%.1f s)\n", p.clock(), p.last, time.Since(p.since).Seconds())
	}
}

func (p *progress) draw() {
	fmt.Fprintf(p.w, "\r\033[K%s %s … %.0f s", p.clock(), p.last, time.Since(p.since).Seconds())
}

func (p *progress) clock() string {
	s := int(time.Since(p.start).Seconds())
	return fmt.Sprintf("[%d:%02d]", s/60, s%60)
}

func (p *progress) tick() {
	defer close(p.done)
	every := time.Second
	if !p.live {
		every = heartbeat
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
		}
		p.mu.Lock()
		switch {
		case p.last == "":
		case p.live:
			p.draw()
		case time.Since(p.since) >= heartbeat:
			fmt.Fprintf(p.w, "%s %s (still, %.0f s)\n", p.clock(), p.last, time.Since(p.since).Seconds())
		}
		p.mu.Unlock()
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// columns of the terminal behind w, 0 where it is none.
func columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return cmp.Or(width, 80) // a terminal that does not tell
}

// colour decides whether to colour what goes to w: NO_COLOR and TERM=dumb
// forbid it, CLICOLOR_FORCE demands it, else a terminal gets it.
func colour(w io.Writer) bool {
	switch {
	case os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb":
		return false
	case os.Getenv("CLICOLOR_FORCE") != "" || os.Getenv("FORCE_COLOR") != "":
		return true
	}
	return isTerminal(w)
}
