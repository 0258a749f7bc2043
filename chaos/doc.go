// Package chaos is the contract of faults: what one is (Kind), what it is aimed
// at (Inventory, Target), what it will do (Step, as data), what mends it (Undo,
// as data too, so that another process can) and what it explains (Expect).
// Each kind has a folder of its own; chaos/kinds lists them, chaos/engine runs
// them, chaos/profiles holds what each policy engine is known to do.
package chaos
