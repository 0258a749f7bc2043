package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/segtest/segtest/chaos"
)

// A reaper is a process that outlives this one, however this one dies, and
// then mends what the journal says is not mended. It reads from a pipe whose
// other end only this process holds: the end of the pipe is its death.

// order is one line of the pipe.
type order struct {
	ID     string        `json:"id"`
	Within time.Duration `json:"within"` // 0: the fault is mended
}

// Reaper is a reaper process, from the side of its parent.
type Reaper struct {
	pipe *os.File
	cmd  *exec.Cmd
	log  string
}

// StartReaper starts argv as a reaper in a session of its own; argv must come
// to ReaperMain over its standard input. What it says goes to the file log.
func StartReaper(log string, argv ...string) (*Reaper, error) {
	if len(argv) == 0 {
		return nil, errors.New("starting the reaper: no command")
	}
	read, write, err := os.Pipe() // not inherited by other children
	if err != nil {
		return nil, fmt.Errorf("starting the reaper: %w", err)
	}
	defer read.Close() //nolint:errcheck // the child has its own copy
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting the reaper: %w", errors.Join(err, write.Close()))
	}
	defer out.Close()                         //nolint:errcheck // the child has its own copy
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:gosec,noctx // our own binary; it must outlive every context
	cmd.Stdin, cmd.Stdout, cmd.Stderr = read, out, out
	cmd.SysProcAttr = ownSession()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the reaper: %w", errors.Join(err, write.Close()))
	}
	return &Reaper{pipe: write, cmd: cmd, log: log}, nil
}

// Arm tells the reaper to mend the fault of the journal even while this
// process lives, should it not be disarmed within the time.
func (r *Reaper) Arm(id string, within time.Duration) error {
	return r.send(order{ID: id, Within: max(within, 1)})
}

// Disarm tells the reaper that the fault is mended.
func (r *Reaper) Disarm(id string) error { return r.send(order{ID: id}) }

func (r *Reaper) send(o order) error {
	text, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("telling the reaper about %s: %w", o.ID, err)
	}
	if _, err := r.pipe.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("telling the reaper (process %d, log %s) about %s: %w", r.cmd.Process.Pid, r.log, o.ID, err)
	}
	return nil
}

// Close lets the reaper mend what the journal still holds and waits for its
// end. When the context ends first, it goes on alone.
func (r *Reaper) Close(ctx context.Context) error {
	if err := r.pipe.Close(); err != nil {
		return fmt.Errorf("closing the reaper's pipe: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("the reaper could not mend everything, see %s: %w", r.log, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the reaper (process %d, log %s) is still at work: %w", r.cmd.Process.Pid, r.log, context.Cause(ctx))
	}
}

// Times of a reaper.
const (
	reaperPatience = 10 * time.Minute // of attempts to mend, for example while Docker restarts
	reaperPause    = 500 * time.Millisecond
)

// ReaperMain is the work of a reaper process: it reads orders until they end or
// the context does, mends a fault whose time has run out, and at last everything
// that the journal holds. It says on log what it does.
func ReaperMain(ctx context.Context, orders io.Reader, journal string, undoer chaos.Undoer, log io.Writer) error {
	incoming := make(chan order)
	go readOrders(ctx, orders, incoming, log)
	due := map[string]time.Time{}
	for {
		id, at := earliest(due)
		timer := time.NewTimer(time.Until(at))
		if id == "" {
			timer.Stop()
		}
		select {
		case o, more := <-incoming:
			timer.Stop()
			switch {
			case !more:
				return mendAll(context.WithoutCancel(ctx), journal, undoer, log)
			case o.Within == 0:
				delete(due, o.ID)
			default:
				due[o.ID] = now().Add(o.Within)
			}
		case <-timer.C:
			delete(due, id)
			say(log, "%s was not mended in time, mending it", id)
			if err := mendOne(ctx, journal, id, undoer); err != nil {
				say(log, "%v", err)
				due[id] = now().Add(reaperPause)
			}
		case <-ctx.Done():
			timer.Stop()
			say(log, "%v", context.Cause(ctx))
			return mendAll(context.WithoutCancel(ctx), journal, undoer, log)
		}
	}
}

func now() time.Time { return time.Now() }

// earliest deadline; "" for none, ties by id.
func earliest(due map[string]time.Time) (id string, at time.Time) {
	for i, t := range due {
		if id == "" || t.Before(at) || t.Equal(at) && i < id {
			id, at = i, t
		}
	}
	return id, at
}

func readOrders(ctx context.Context, orders io.Reader, incoming chan<- order, log io.Writer) {
	defer close(incoming)
	for lines := bufio.NewScanner(orders); lines.Scan(); {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			say(log, "cannot read the order %q: %v", lines.Text(), err)
			continue
		}
		select {
		case incoming <- o:
		case <-ctx.Done():
			return
		}
	}
}

// mendOne mends one fault, if the journal holds it.
func mendOne(ctx context.Context, journal, id string, undoer chaos.Undoer) error {
	pending, err := Pending(journal)
	errs := []error{err}
	for _, e := range pending {
		if e.ID == id {
			errs = append(errs, healEntry(ctx, journal, e, undoer))
		}
	}
	return errors.Join(errs...)
}

// mendAll mends until nothing is left or patience ends.
func mendAll(ctx context.Context, journal string, undoer chaos.Undoer, log io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, reaperPatience)
	defer cancel()
	ticker := time.NewTicker(reaperPause)
	defer ticker.Stop()
	for {
		pending, err := Pending(journal)
		if len(pending) == 0 {
			return err
		}
		say(log, "the run is gone and left %d faults, mending them", len(pending))
		if err = Heal(ctx, journal, undoer); err == nil {
			say(log, "mended")
			return nil
		}
		say(log, "%v", err)
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

func say(log io.Writer, format string, args ...any) {
	fmt.Fprintf(log, "%s reaper: %s\n", now().UTC().Format(time.RFC3339Nano), fmt.Sprintf(format, args...))
}
