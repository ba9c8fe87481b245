#pragma once

#include "kernels/mla/form.h"

namespace atoll::attention_node {

// Prompt: the position lay below the prompt's length when the sequence was first admitted. Kept for the sequence's life,
// through preemption and resume, since the form of a row's attention (and so its bits) depends on it.
using kernels::PositionClass;

}  // namespace atoll::attention_node
