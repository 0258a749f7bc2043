//go:build unix

package engine

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// lock keeps other writers out until the file is closed.
func lock(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil { //nolint:gosec // a file descriptor is small
		return fmt.Errorf("locking: %w", err)
	}
	return nil
}

// ownSession makes a child outlive the terminal and the process group of its
// parent.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
