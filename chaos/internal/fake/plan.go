package fake

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/segtest/segtest/chaos"
)

// Plan plans a fault, and fails the test unless the same seed gives the same
// step a second time, and the step is the same when it was written down.
func Plan(t *testing.T, kind chaos.Kind, seed uint64, inv chaos.Inventory, params chaos.Params) (chaos.Step, error) {
	t.Helper()
	step, err := kind.Plan(chaos.Rand(seed, "1-"+kind.Name), inv, params)
	if err != nil {
		return step, err
	}
	again, err := kind.Plan(chaos.Rand(seed, "1-"+kind.Name), inv, params)
	if err != nil || !reflect.DeepEqual(step, again) {
		t.Errorf("seed %d plans\n%+v\nand then\n%+v, %v", seed, step, again, err)
	}
	text, err := json.Marshal(step)
	if err != nil {
		t.Fatal(err)
	}
	var read chaos.Step
	if err := json.Unmarshal(text, &read); err != nil || !reflect.DeepEqual(step, read) {
		t.Errorf("planned\n%+v\nand read back\n%+v, %v", step, read, err)
	}
	return step, nil
}
