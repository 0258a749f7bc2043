package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/segtest/segtest/fixtures/cluster"
	"github.com/segtest/segtest/fixtures/cluster/existing"
	"github.com/segtest/segtest/fixtures/cluster/kindcluster"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run"
	"github.com/segtest/segtest/suites/run/record"
	"github.com/segtest/segtest/suites/specs"
)

type runFlags struct {
	out     string
	reports []string
	part    partFlags
	repeats repeats
	seed    uint64
	keep    bool
	context string
	image   string
	probe   string
	verbose bool
	loading loading

	noMutant bool
}

func newRun(io stdio) *cobra.Command {
	f := runFlags{loading: loading{creates: true}}
	cmd := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "run a scenario on a cluster of its own and judge what was seen",
		Long: `Starts a kind cluster, deploys the scenario, probes every flow without and with
the policies, makes a mistake in one of them to prove that it would notice,
injects the faults while it keeps probing, and removes the cluster again. The
record of what was seen is written while the run goes on; every report can be made
again from it with 'segtest report'.

--select, --shard and --rerun-failed ask fewer flows; the controls that their
denies need are asked along, and judged where they were chosen themselves.
--repeat and --until-failure ask the matrix again and again, before the faults.

Exit codes: 0 as expected, 1 expectation violated, 2 usage or file error,
3 environment (cluster, Docker, image), 4 inconclusive, 130 interrupted.`,
		Example: `  segtest run fixtures/catalog/online-shop --report junit=out/junit.xml
  segtest run shop.yaml --select 'shop/web -> shop/* TCP/*' --keep
  segtest run shop.yaml --shard 1/3
  segtest run shop.yaml --rerun-failed .segtest/runs/0a1b2c3d
  segtest run shop.yaml --until-failure=30m`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := f.repeats.stray(args); err != nil {
				return err
			}
			return one("SCENARIO", scenarioIs)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("seed") {
				f.seed = uint64(rand.Uint32()) //nolint:gosec // any seed will do; it is printed
			}
			return runScenario(cmd.Context(), io, args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.out, "out", "", "folder for the record and the run's private files (default .segtest/runs/RUN)")
	flags.StringArrayVar(&f.reports, "report", nil, "FORMAT=FILE, may be repeated; see 'segtest report --help'")
	f.part.flag(flags)
	f.repeats.flag(flags)
	flags.Uint64Var(&f.seed, "seed", 0, "seed of every random choice (default: random, printed)")
	flags.BoolVar(&f.noMutant, "no-mutant", false, "leave out the mistake that is made in a policy, for a moment, to prove that this run would notice")
	flags.BoolVar(&f.keep, "keep", false, "keep the cluster, and say how to reach and remove it")
	flags.StringVar(&f.context, "context", "", "use this context of your kubeconfig instead of a cluster of its own")
	flags.StringVar(&f.image, "image", "", "node image (default: chosen, see 'segtest doctor')")
	flags.StringVar(&f.probe, "probe-image", "", "probe image that every node has already (default: built and loaded)")
	f.loading.flag(cmd)
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "show Ginkgo's own output on standard error")
	return cmd
}

func runScenario(ctx context.Context, io stdio, path string, f runFlags) error {
	sinks, err := parseReports(f.reports)
	if err != nil {
		return err
	}
	id := run.NewID()
	dir := f.out
	if dir == "" {
		dir = filepath.Join(".segtest", "runs", id)
	}
	if err := apart(sinks, recordFile(dir)); err != nil {
		return err
	}
	part, err := f.part.parse(dir)
	if err != nil {
		return err
	}
	sc, err := f.loading.load(ctx, path, io.err)
	if err != nil {
		return err
	}
	if err := errors.Join(run.CheckDeploy(sc), run.CheckCluster(sc, f.context != "")); err != nil {
		return usageError(fmt.Errorf("this cannot be run, and nothing was created; `segtest plan` and the other verbs that need no cluster take it:\n%w", err))
	}
	if sc.Expect.Snapshot {
		fmt.Fprintln(io.err, "note: of a snapshot a run probes the flows between pods, on declared ports and one more; segtest plan compares all that it states")
	}
	if f.image != "" {
		sc.Cluster.Image = f.image
	}
	keep, err := f.chosen(sc, &part, io)
	switch {
	case errors.Is(err, errNothingFailed):
		fmt.Fprintln(io.out, part.before.nothing())
		return nil
	case err != nil:
		return err
	}
	history, err := openRecord(dir)
	if err != nil {
		return environmentError(err)
	}
	progress := newProgress(io.err)
	progress.Printf("run %s of %s, seed %d, record %s", id, sc.Name, f.seed, recordFile(dir))
	quiet(f.verbose, progress.Printf)
	session, err := run.New(run.Options{
		Scenario: sc, Provider: provider(f, dir), History: history, RunID: id, Seed: f.seed,
		ProbeImage: f.probe, Facts: facts(), Select: keep, Asked: part.asked, NoMutant: f.noMutant, Progress: progress.Printf, Safety: safety(dir, id),
	})
	if err != nil {
		progress.Close()
		return environmentError(errors.Join(err, history.Close()))
	}
	result, err := f.pass(ctx, io, sc, session, progress.Printf)
	progress.Close()
	err = errors.Join(err, writeAll(io.out, sinks, result))
	if f.keep {
		fmt.Fprint(io.err, kept(session))
	}
	return outcome(result, err, recordFile(dir))
}

// chosen says which flows a run asks for, and writes down what was asked.
func (f runFlags) chosen(sc *scenario.Scenario, p *part, io stdio) (func(matrix.Flow) bool, error) {
	all, err := run.Flows(sc, nil)
	if err != nil {
		return nil, usageError(err)
	}
	f.repeats.write(&p.asked)
	return p.of(sc.Name, all, io.err)
}

// outcome is what a run exits with. An error of the machinery does not hide a
// violation or an interruption that the record holds.
func outcome(result judge.Result, err error, record string) error {
	code := result.ExitCode()
	switch {
	case err == nil && code == exitOK:
		return nil
	case err == nil:
		return &exitError{code: code}
	case code != exitViolated && code != exitInterrupted:
		code = exitEnvironment
	}
	return &exitError{code: code, err: fmt.Errorf("%w\nwhat was observed is in %s: segtest report %s", err, record, record)}
}

// openRecord makes the folder of a run and the record in it.
func openRecord(dir string) (*record.Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of the run: %w", err)
	}
	return record.Create(recordFile(dir))
}

func recordFile(dir string) string { return filepath.Join(dir, "record.jsonl") }

// kept says how to reach and how to remove what --keep left, "" where there is
// nothing.
func kept(session *run.Session) string {
	kubeconfig := session.Kubeconfig()
	if kubeconfig == "" {
		return ""
	}
	return fmt.Sprintf("what the run made is kept: KUBECONFIG=%s kubectl get pods -A\nremove it with: segtest clean\n", kubeconfig)
}

// quiet keeps the Kubernetes libraries from writing over the progress: what
// they log are retries, whose outcome comes back as an error where it matters.
func quiet(verbose bool, progress cluster.Progress) {
	log := logr.Discard()
	if verbose {
		log = funcr.New(func(_, line string) { progress("kubernetes: %s", line) }, funcr.Options{})
	}
	klog.SetLogger(log)
}

// pass runs the session to its end and judges its record.
func (f runFlags) pass(ctx context.Context, io stdio, sc *scenario.Scenario, session *run.Session, progress cluster.Progress) (judge.Result, error) {
	passed, says := true, ""
	if f.repeats.several() { // Ginkgo's tree is around exactly one pass
		if err := f.repeats.run(ctx, session, progress); err != nil {
			passed, says = false, err.Error()
		}
	} else {
		passed, says = f.tree(ctx, io, sc, session)
	}
	err := session.Close(ctx, f.keep)
	result := judge.Judge(session.Record())
	if !passed && err == nil && result.ExitCode() == exitOK {
		// A spec failed without a finding: a defect of segtest's own.
		err = fmt.Errorf("a spec failed and the record does not say why; please report this:\n%s", says)
	}
	return result, err
}

// tree runs Ginkgo's tree once.
func (f runFlags) tree(ctx context.Context, io stdio, sc *scenario.Scenario, session *run.Session) (passed bool, says string) {
	var ginkgoSays bytes.Buffer
	specs.Describe(ctx, sc.Name, session)
	passed = specs.Run("segtest", &ginkgoSays)
	if f.verbose {
		fmt.Fprint(io.err, ginkgoSays.String())
	}
	return passed, ginkgoSays.String()
}

func provider(f runFlags, dir string) cluster.Provider {
	if f.context != "" {
		return &existing.Provider{Context: f.context}
	}
	return &kindcluster.Provider{RunDir: dir}
}

// safety is what mends faults when this process dies: another one of this binary.
// Each run has its own journal, so that no run's end is taken for that of one
// before it in the same folder.
func safety(dir, id string) run.Safety {
	s := run.Safety{Journal: filepath.Join(dir, "faults-"+id+".jsonl")}
	if self, err := os.Executable(); err == nil {
		s.Reaper = []string{self, "reaper", "--journal", s.Journal}
	}
	return s
}

// facts are what is known before there is a cluster.
func facts() map[string]string {
	v := buildVersion()
	facts := map[string]string{"segtest": strings.TrimSpace(v.Version + " " + v.Revision), "go": v.Go}
	for key, names := range map[string][]string{
		"commit":   {"GITHUB_SHA", "CI_COMMIT_SHA", "BUILD_SOURCEVERSION", "GIT_COMMIT"},
		"branch":   {"GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "BUILD_SOURCEBRANCHNAME", "GIT_BRANCH"},
		"pipeline": {"GITHUB_RUN_ID", "CI_PIPELINE_ID", "BUILD_BUILDID", "BUILD_TAG"},
	} {
		for _, name := range names {
			if value := os.Getenv(name); value != "" {
				facts[key] = value
				break
			}
		}
	}
	return facts
}
