package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/segtest/segtest/probes/wire"
)

const usage = `usage: segtest-agent serve    listen, try and sample; the pod's first process
       segtest-agent relay    carry standard input and output to the serving process
       segtest-agent ready    exit 0 when the serving process answers and listens
       segtest-agent version  print the version of the protocol
`

// Main is the agent's command line; it returns the exit code.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) != 1 {
		_, _ = io.WriteString(stderr, usage)
		return 2
	}
	var err error
	socket := wire.SocketName(os.Getenv(wire.EnvPodUID))
	switch args[0] {
	case "serve":
		err = serve(os.Getenv)
	case "relay":
		err = Relay(socket, stdin, stdout)
	case "ready":
		err = ready(socket, os.Getenv)
	case "version":
		_, err = fmt.Fprintf(stdout, "segtest-agent protocol %d\n", wire.Version)
	default:
		_, _ = io.WriteString(stderr, usage)
		return 2
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "segtest-agent: %v\n", err)
		return 1
	}
	return 0
}

// serve runs until SIGTERM. As the pod's first process it also reaps the
// children of exec'ed processes.
func serve(getenv func(string) string) error {
	Economy()
	config, err := FromEnv(getenv)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	go reap(ctx)
	a, err := New(config)
	if err != nil {
		return err
	}
	// The socket opens last: who is answered finds every port open.
	socket, err := net.Listen("unix", wire.SocketName(config.Identity.PodUID)) //nolint:noctx // a local socket, bounded by its deadline
	if err != nil {
		return fmt.Errorf("listening for the harness: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = socket.Close() })
	for {
		conn, err := socket.Accept()
		switch {
		case ctx.Err() != nil:
			return nil // the process ends now, and the kernel closes what is open
		case errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE):
			// The kernel keeps the harness until there is room; what listens stays.
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		case err != nil:
			return fmt.Errorf("listening for the harness: %w", err)
		}
		go func() { _ = a.Handle(ctx, conn) }() // the harness sees the same error from its side
	}
}

// reap collects ended children, of which a container's first process may inherit some.
func reap(ctx context.Context) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	defer signal.Stop(ended)
	for {
		for pid, err := 1, error(nil); pid > 0 && err == nil; {
			pid, err = unix.Wait4(-1, nil, unix.WNOHANG, nil)
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return
		}
	}
}

// lastWords is how long a relay waits for answers after its input has ended.
const lastWords = 30 * time.Second

// Relay carries in to the agent's socket and what the agent says to out. When
// in ends the agent is told so and may finish its answers; when the agent or
// out ends the relay ends at once.
func Relay(socket string, in io.Reader, out io.Writer) error {
	c, err := net.Dial("unix", socket) //nolint:noctx // a local socket, bounded by its deadline
	if err != nil {
		return fmt.Errorf("connecting to the agent: %w", err)
	}
	conn := c.(*net.UnixConn) //nolint:forcetypeassert // what dialling "unix" returns
	defer func() { _ = conn.Close() }()
	go func() {
		_, _ = io.Copy(conn, in) // a failure to read is an end of input
		_ = conn.CloseWrite()
		_ = conn.SetReadDeadline(time.Now().Add(lastWords))
	}()
	if _, err := io.Copy(out, conn); err != nil {
		return fmt.Errorf("relaying from the agent: %w", err)
	}
	return nil
}

// readyTime bounds one readiness check.
const readyTime = time.Second

// ready asks the agent who it is and compares its ports with the environment.
func ready(socket string, getenv func(string) string) error {
	config, err := FromEnv(getenv)
	if err != nil {
		return err
	}
	conn, err := net.DialTimeout("unix", socket, readyTime) //nolint:noctx // a local socket, bounded by its deadline
	if err != nil {
		return fmt.Errorf("connecting to the agent: %w", err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(readyTime))
	if err := json.NewEncoder(conn).Encode(wire.Request{ID: 1, Hello: &wire.Hello{}}); err != nil {
		return fmt.Errorf("asking the agent: %w", err)
	}
	var answer wire.Response
	if err := json.NewDecoder(bufio.NewReader(conn)).Decode(&answer); err != nil {
		return fmt.Errorf("reading the agent's answer: %w", err)
	}
	if answer.Hello == nil {
		return errors.New("reading the agent's answer: it does not say who it is")
	}
	for _, p := range config.ports() {
		if slices.Contains(answer.Hello.Speaks, p.Protocol) && !slices.Contains(answer.Hello.Listening, p.String()) {
			return fmt.Errorf("asking the agent: it does not listen on %s", p)
		}
	}
	return nil
}
