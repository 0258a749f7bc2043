package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// machineFacts says on what the figures were taken.
func machineFacts() map[string]string {
	facts := map[string]string{"go": runtime.Version(), "arch": runtime.GOARCH, "processors": strconv.Itoa(runtime.NumCPU())}
	for key, from := range map[string]struct{ file, field string }{
		"model":  {"/proc/cpuinfo", "model name"},
		"memory": {"/proc/meminfo", "MemTotal"},
	} {
		if value, err := procField(from.file, from.field); err == nil {
			facts[key] = value
		}
	}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		facts["kernel"] = strings.TrimSpace(string(kernel))
	}
	return facts
}

// procField is the value of the first "field: value" line of a file.
func procField(file, field string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == field {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("%s has no field %s", file, field)
}

// load is how many processes of the machine wanted to run, over the last minute.
func load() (float64, error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), " ")
	return strconv.ParseFloat(first, 64)
}

// peakResident is the most memory that this process ever held, in bytes.
func peakResident() (int64, error) {
	text, err := procField("/proc/self/status", "VmHWM")
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(text, " kB"), 10, 64)
	return n << 10, err
}
