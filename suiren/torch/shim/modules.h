// Which module is being called: two C functions around `nn.Module.__call__`.
#pragma once
#include <torch/csrc/autograd/python_variable.h>

#include "signature.h"

namespace suiren {

struct ModuleKey {
  int32_t parent;
  PyObject* module;
  bool operator==(const ModuleKey& o) const { return parent == o.parent && module == o.module; }
};
struct HashOfModuleKey {
  size_t operator()(const ModuleKey& k) const {
    return reinterpret_cast<size_t>(k.module) * 31 + size_t(k.parent) * 0x9E3779B97F4A7C15ull;
  }
};
inline std::unordered_map<ModuleKey, int32_t, HashOfModuleKey> path_of_module;
inline std::unordered_map<PyObject*, std::vector<int32_t>> parents_of_module;

// A module died: another one may come to stand at its address.
inline void forget_module(size_t address) {
  auto* module = reinterpret_cast<PyObject*>(address);
  auto found = parents_of_module.find(module);
  if (found == parents_of_module.end()) return;
  for (int32_t parent : found->second) path_of_module.erase({parent, module});
  parents_of_module.erase(found);
}

inline bool may_hold_tensors(PyObject* o) { return PyTuple_Check(o) || PyList_Check(o); }

inline void collect_tensors(PyObject* o, std::vector<at::Tensor>& out) {
  if (THPVariable_Check(o)) {  // subclasses answer questions about themselves in Python: not asked here
    const at::Tensor& t = THPVariable_Unpack(o);
    if (!t.key_set().has(c10::DispatchKey::Python) && !has_no_storage(t)) out.push_back(t);
  } else if (may_hold_tensors(o)) {
    Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
    for (Py_ssize_t i = 0; i < n && i < 16; i++) collect_tensors(PySequence_Fast_GET_ITEM(o, i), out);
  } else if (PyDict_Check(o)) {
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(o, &at, &key, &value)) collect_tensors(value, out);
  }
}

// A module called from outside any other is where data enters: its tensors are the batch.
inline void note_root_call(int32_t path, PyObject* args, PyObject* kwargs) {
  std::vector<at::Tensor> tensors;
  collect_tensors(args, tensors);
  collect_tensors(kwargs, tensors);
  Hash h;
  h.add(0x5EED);
  h.add(path);
  Storages storages;
  for (auto& t : tensors) hash_tensor(h, t, storages);
  std::lock_guard<std::mutex> guard(lock);
  auto found = tape.signature_of.find(h);
  int32_t signature = found == tape.signature_of.end() ? -1 : found->second;
  if (signature < 0) {
    std::ostringstream out;
    out << "suiren::call(";
    for (size_t i = 0; i < tensors.size(); i++) {
      out << (i ? "," : "") << "input" << i << '=';
      print_tensor(out, tensors[i]);
    }
    out << ")->()";
    signature = tape.signatures.size();
    tape.signature_of.emplace(h, signature);
    tape.signatures.push_back(out.str());
  }
  push(ENTER, signature, context_number(FORWARD, path), 0, at::GradMode::is_enabled());
}

inline PyObject* enter_module(PyObject*, PyObject* const* a, Py_ssize_t n) {  // (module, args, kwargs)
  if (n != 3) {
    PyErr_SetString(PyExc_TypeError, "enter(module, args, kwargs)");
    return nullptr;
  }
  int32_t parent = paths.empty() ? 0 : paths.back();
  ModuleKey key{parent, a[0]};
  auto found = path_of_module.find(key);
  int32_t path = 0;
  if (found != path_of_module.end()) {
    path = found->second;
  } else if (ask_path) {
    PyObject* answer = PyObject_CallFunction(ask_path->ptr(), "iO", int(parent), a[0]);
    if (!answer) return nullptr;
    path = PyLong_AsLong(answer);
    Py_DECREF(answer);
    path_of_module.emplace(key, path);
    parents_of_module[a[0]].push_back(parent);
  }
  if (tape.on && paths.empty() && !torch::autograd::get_current_node()) note_root_call(path, a[1], a[2]);
  paths.push_back(path);
  Py_RETURN_NONE;
}

inline PyObject* leave_module(PyObject*, PyObject*) {
  if (!paths.empty()) paths.pop_back();
  Py_RETURN_NONE;
}

inline PyMethodDef enter_method{"enter", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&enter_module)),
                                METH_FASTCALL, "A module's call begins: enter(module, args, kwargs)."};
inline PyMethodDef leave_method{"leave", &leave_module, METH_NOARGS, "The innermost module's call ends."};

}  // namespace suiren
