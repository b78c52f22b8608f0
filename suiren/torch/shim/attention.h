// Fused attention: one op on the card, as every training chip has it.
//
// The host's flash kernel computes the values; grouped keys are repeated for it. Dropout,
// which that kernel lacks, is computed in the open with a mask regrown from a saved seed.
#pragma once
#include "kernels.h"

namespace suiren {

// Any of CUDA's fused kernels means the chip's own.
inline bool fused_is_allowed() {
  auto& context = at::globalContext();
  return context.userEnabledFlashSDP() || context.userEnabledMemEfficientSDP() ||
         context.userEnabledCuDNNSDP() || context.userEnabledOverrideableSDP();
}

inline int64_t choose_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                const std::optional<at::Tensor>& mask, double, bool, std::optional<double>, bool) {
  bool fused = q.dim() == 4 && k.dim() == 4 && v.dim() == 4 && q.size(3) == k.size(3) && q.size(3) == v.size(3) &&
               k.size(1) > 0 && q.size(1) % k.size(1) == 0 && k.size(1) == v.size(1) && q.numel() > 0 && k.numel() > 0 &&
               q.scalar_type() == k.scalar_type() && q.scalar_type() == v.scalar_type() &&
               at::isFloatingType(q.scalar_type()) && q.scalar_type() != at::kDouble &&
               !(mask && mask->defined() && mask->requires_grad()) && fused_is_allowed();
  return int64_t(fused ? sdp::SDPBackend::overrideable : sdp::SDPBackend::math);
}

struct Attention {
  at::Tensor q, k, v, bias;  // on the host
  double dropout, scale;
  bool causal;
  int64_t group;  // query heads per key head

  at::Tensor repeated(const at::Tensor& t) const { return group == 1 ? t : t.repeat_interleave(group, 1); }
  at::Tensor folded(const at::Tensor& grad) const {  // sum over the query heads of a group
    if (group == 1) return grad;
    return grad.reshape({grad.size(0), k.size(1), group, grad.size(2), grad.size(3)}).sum(2);
  }
  std::optional<at::Tensor> host_bias() const {
    if (!bias.defined() || bias.numel() == 0) return std::nullopt;
    at::Tensor b = bias;
    if (b.scalar_type() == at::kBool) b = at::zeros(b.sizes(), q.options()).masked_fill_(b.logical_not(), -INFINITY);
    while (b.dim() < 4) b = b.unsqueeze(0);
    return b.to(q.scalar_type()).expand({q.size(0), q.size(1), q.size(2), k.size(2)});
  }
  at::Tensor probabilities() const {
    at::Tensor s = at::matmul(q.to(at::kFloat), repeated(k).to(at::kFloat).transpose(2, 3)) * scale;
    if (auto b = host_bias()) s = s + b->to(at::kFloat);
    if (causal) s.masked_fill_(at::ones({q.size(2), k.size(2)}, at::kBool).tril().logical_not(), -INFINITY);
    return s.softmax(-1);
  }
  at::Tensor kept(uint64_t seed) const {
    auto g = at::detail::createCPUGenerator(seed);
    auto mask = at::empty({q.size(0), q.size(1), q.size(2), k.size(2)}, at::kFloat).bernoulli_(1 - dropout, g);
    return mask.mul_(dropout >= 1 ? 0.0 : 1.0 / (1 - dropout));
  }
};

// The host's kernel takes any strides but those of the innermost dimension.
inline at::Tensor rows_dense(const at::Tensor& t) {
  return t.defined() && t.dim() && t.stride(-1) != 1 ? t.contiguous() : t;
}

inline Attention attention_of(const Stack& stack, size_t q, int bias, double dropout, bool causal, const c10::IValue& scale,
                              Frame& frame, const OpCard& card) {
  Attention a;
  auto host = [&](const at::Tensor& t) { return rows_dense(alias_of(t, frame, card)); };
  a.q = host(stack[q].toTensor());
  a.k = host(stack[q + 1].toTensor());
  a.v = host(stack[q + 2].toTensor());
  if (stack[bias].isTensor()) a.bias = host(stack[bias].toTensor());
  a.dropout = dropout;
  a.causal = causal;
  a.scale = scale.isNone() ? 1.0 / std::sqrt(double(a.q.size(3))) : scale.toDouble();
  a.group = a.q.size(1) / a.k.size(1);
  return a;
}

// The layout CUDA's kernels answer in: heads inside sequence.
inline at::Tensor heads_inside(const at::Tensor& t, int64_t last) {
  return make_empty({t.size(0), t.size(2), t.size(1), last}, std::nullopt, t.scalar_type(), t.device(), std::nullopt)
      .transpose(1, 2);
}

inline void attention(const c10::OperatorHandle& op, c10::DispatchKeySet, Stack* stack) {
  const OpCard& card = op_card(op);
  size_t from = stack->size() - op.schema().arguments().size();
  at::Tensor q = (*stack)[from].toTensor(), k = (*stack)[from + 1].toTensor(), v = (*stack)[from + 2].toTensor();
  double dropout = (*stack)[from + 4].toDouble();
  bool causal = (*stack)[from + 5].toBool();
  int device = q.device().index();
  bool tf32 = q.scalar_type() == at::kFloat && multiplies_in_tf32(MatrixOp::matmul);
  Call call;
  if (tape.on) begin_call(call, op, card.name, *stack, from, tf32 ? "tf32" : nullptr);
  at::Tensor out, lse, seed = at::zeros({}, at::kLong);
  if (!(is_real(q) && is_real(k) && is_real(v))) {
    out = heads_inside(q, v.size(3));
    lse = make_empty({q.size(0), q.size(1), q.size(2)}, std::nullopt, at::kFloat, q.device(), std::nullopt);
  } else {
    Frame frame;
    Attention a = attention_of(*stack, from, from + 3, dropout, causal, (*stack)[from + 7], frame, card);
    if (tf32) a.q = tf32_copy(a.q), a.k = tf32_copy(a.k), a.v = tf32_copy(a.v);
    at::Tensor o, l;
    if (dropout > 0) {
      at::Generator g = host_generator(devices[device]->generator);
      uint64_t s = at::check_generator<at::CPUGeneratorImpl>(g)->random64();
      seed.fill_(int64_t(s >> 1));
      o = at::matmul(a.probabilities() * a.kept(s >> 1), a.repeated(a.v).to(at::kFloat)).to(q.scalar_type());
      l = at::zeros({q.size(0), q.size(1), q.size(2)}, at::kFloat);
    } else {
      std::tie(o, l) = at::_scaled_dot_product_flash_attention_for_cpu(a.q, a.repeated(a.k), a.repeated(a.v), 0.0, causal,
                                                                       a.host_bias(), a.scale);
      l = l.contiguous();
    }
    out = to_card(o.transpose(1, 2).contiguous(), frame, device).transpose(1, 2);
    lse = to_card(l, frame, device);
  }
  auto none = [&](at::ScalarType t) { return make_empty({0}, std::nullopt, t, q.device(), std::nullopt); };
  stack->resize(from);
  for (c10::IValue r : {c10::IValue(out), c10::IValue(lse), c10::IValue(none(at::kLong)), c10::IValue(none(at::kLong)),
                        c10::IValue(q.size(2)), c10::IValue(k.size(2)), c10::IValue(seed), c10::IValue(none(at::kLong)),
                        c10::IValue(none(at::kFloat))})
    stack->push_back(std::move(r));
  if (tape.on) end_call(call, *stack, 9, stream_number(device));
}

inline void attention_backward(const c10::OperatorHandle& op, c10::DispatchKeySet, Stack* stack) {
  const OpCard& card = op_card(op);
  size_t from = stack->size() - op.schema().arguments().size();
  auto tensor = [&](size_t i) { return (*stack)[from + i].toTensor(); };
  at::Tensor grad = tensor(0), q = tensor(1), k = tensor(2), v = tensor(3), out = tensor(6), lse = tensor(7);
  double dropout = (*stack)[from + 12].toDouble();
  bool causal = (*stack)[from + 13].toBool();
  int device = q.device().index();
  bool tf32 = q.scalar_type() == at::kFloat && multiplies_in_tf32(MatrixOp::matmul);
  Call call;
  if (tape.on) begin_call(call, op, card.name, *stack, from, tf32 ? "tf32" : nullptr);
  at::Tensor gq, gk, gv;
  if (!(is_real(grad) && is_real(q) && is_real(k) && is_real(v) && is_real(out))) {
    gq = heads_inside(q, q.size(3));
    gk = heads_inside(k, k.size(3));
    gv = heads_inside(v, v.size(3));
  } else {
    Frame frame;
    at::Tensor g = rows_dense(alias_of(grad, frame, card));
    Attention a = attention_of(*stack, from + 1, from + 4, dropout, causal, (*stack)[from + 16], frame, card);
    at::Tensor o = alias_of(out, frame, card), l = alias_of(lse, frame, card);
    if (tf32) a.q = tf32_copy(a.q), a.k = tf32_copy(a.k), a.v = tf32_copy(a.v), g = tf32_copy(g);
    if (dropout > 0) {
      at::Tensor p = a.probabilities(), keep = a.kept(uint64_t(tensor(14).item<int64_t>())), gf = g.to(at::kFloat);
      at::Tensor vf = a.repeated(a.v).to(at::kFloat), kf = a.repeated(a.k).to(at::kFloat), qf = a.q.to(at::kFloat);
      at::Tensor dp = at::matmul(gf, vf.transpose(2, 3)) * keep;
      at::Tensor ds = p * (dp - (dp * p).sum(-1, true)) * a.scale;
      gq = at::matmul(ds, kf);
      gk = at::matmul(ds.transpose(2, 3), qf);
      gv = at::matmul((p * keep).transpose(2, 3), gf);
    } else {
      std::tie(gq, gk, gv) = at::_scaled_dot_product_flash_attention_for_cpu_backward(
          g, a.q, a.repeated(a.k), a.repeated(a.v), o, l, 0.0, causal, a.host_bias(), a.scale);
    }
    auto give = [&](const at::Tensor& t) {
      return to_card(t.to(q.scalar_type()).transpose(1, 2).contiguous(), frame, device).transpose(1, 2);
    };
    gq = give(gq), gk = give(a.folded(gk)), gv = give(a.folded(gv));
  }
  stack->resize(from);
  for (const at::Tensor& t : {gq, gk, gv, at::Tensor()}) stack->push_back(t);
  if (tape.on) end_call(call, *stack, 4, stream_number(device));
}

}  // namespace suiren
