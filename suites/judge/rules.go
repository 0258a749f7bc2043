package judge

import (
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/run/record"
)

// Rules lists who wants what of a flow: the scenario, then the policies at the
// sender and at the receiver.
func Rules(f record.Flow) []Rule {
	declared := Rule{Source: "declared", Text: stated(f.Declared), Origin: f.Declared.Origin}
	declared.Text = sentence(": ", declared.Text, f.Declared.Reason)
	out := []Rule{declared}
	if f.Computed.Reason != "" || f.Computed.Intent == matrix.Unstated {
		out = append(out, Rule{Source: "computed", Text: sentence(": ", f.Computed.Intent.String(), f.Computed.Reason)})
	}
	out = append(out, half("egress", f.From, f.Computed.Egress)...)
	return append(out, half("ingress", f.To, f.Computed.Ingress)...)
}

// stated is what the scenario says of a flow: "deny", "deny by drop".
func stated(d record.Declared) string {
	if d.By == matrix.DenialUnknown {
		return d.Intent.String()
	}
	return d.Intent.String() + " by " + d.By.String()
}

func half(source string, at matrix.Endpoint, h oracle.Half) []Rule {
	switch {
	case h.Intent == matrix.Unstated && len(h.By) == 0:
		return nil
	case len(h.By) == 0:
		reason := h.Reason
		if reason == "" {
			reason = "no policy isolates " + string(at)
		}
		return []Rule{{Source: source, Text: h.Intent.String() + ": " + reason}}
	}
	var out []Rule
	reason := h.Reason // of them all, so it is told once
	for _, by := range h.By {
		out = append(out, Rule{Source: source, Text: sentence(": ", h.Intent.String()+" by "+by.String(), reason), Origin: by.Origin})
		reason = ""
	}
	return out
}

// origin is the line to look at first. Where the policies are too wide or too
// narrow it is theirs, else the one that states the expectation.
func origin(f record.Flow, k Kind) oracle.Origin {
	by, _ := Deciding(f.Computed)
	policy := by.Origin
	switch k {
	case KindTooWide, KindTooWideDiffers, KindTooNarrow, KindTooNarrowDiffers:
		if !policy.IsZero() {
			return policy
		}
	case KindOutage, KindLeak, KindEnforcement, KindLeakFault, KindOutageFault, KindStillClosed, KindNever, KindSlow, KindGap, KindOtherwise, "":
	}
	if f.Declared.Origin.IsZero() {
		return policy
	}
	return f.Declared.Origin
}

// Deciding is the rule that decided, or the policy where that did: on a deny that
// of the half that denies, on an allow that of the receiver, else of the sender. Of
// a flow that is left open it is the one that the reason speaks of. It is false
// where no policy was asked.
func Deciding(d oracle.Decision) (oracle.RuleRef, bool) {
	halves := []oracle.Half{d.Ingress, d.Egress}
	if d.Intent == matrix.Undefined && d.Egress.Intent == matrix.Undefined {
		halves = halves[1:]
	}
	for _, h := range halves {
		if h.Intent == d.Intent && len(h.By) > 0 {
			return h.By[0], true
		}
	}
	return oracle.RuleRef{}, false
}
