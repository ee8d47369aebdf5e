// The code editor behind a small API, so that the page's Rust knows nothing of CodeMirror. Colours come from the
// page's style sheet through classes; there is no theme to switch here.
import { closeBrackets, closeBracketsKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { python } from '@codemirror/lang-python';
import { bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from '@codemirror/language';
import { EditorState, StateEffect, StateField } from '@codemirror/state';
import {
  Decoration, EditorView, GutterMarker, drawSelection, gutterLineClass, highlightSpecialChars, keymap, lineNumbers,
} from '@codemirror/view';
import { classHighlighter } from '@lezer/highlight';
import { RangeSet } from '@codemirror/state';

const setMark = StateEffect.define();

class LineMark extends GutterMarker {
  constructor(kind) {
    super();
    this.elementClass = `editor__gutter--${kind}`;
  }
}

// One marked line: where the program waits, runs or failed.
const mark = StateField.define({
  create: () => ({ lines: Decoration.none, gutter: RangeSet.empty }),
  update(value, transaction) {
    let next = transaction.docChanged
      ? { lines: value.lines.map(transaction.changes), gutter: value.gutter.map(transaction.changes) }
      : value;
    for (const effect of transaction.effects) {
      if (!effect.is(setMark)) continue;
      const { line, kind } = effect.value;
      if (line < 1 || line > transaction.state.doc.lines) {
        next = { lines: Decoration.none, gutter: RangeSet.empty };
      } else {
        const from = transaction.state.doc.line(line).from;
        next = {
          lines: Decoration.set([Decoration.line({ class: `editor__line--${kind}` }).range(from)]),
          gutter: RangeSet.of([new LineMark(kind).range(from)]),
        };
      }
    }
    return next;
  },
  provide: (field) => [
    EditorView.decorations.from(field, (value) => value.lines),
    gutterLineClass.from(field, (value) => value.gutter),
  ],
});

/// An editor inside `parent`. `onChange(text)` is called after every change by the user.
export function create(parent, text, label, onChange) {
  let quiet = false;
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(), highlightSpecialChars(), history(), drawSelection(), indentOnInput(), bracketMatching(),
        closeBrackets(), indentUnit.of('    '), python(), syntaxHighlighting(classHighlighter), mark,
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab]),
        EditorView.contentAttributes.of({ 'aria-label': label, tabindex: '0', spellcheck: 'false', autocapitalize: 'off' }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged && !quiet) onChange(update.state.doc.toString());
        }),
      ],
    }),
  });
  return {
    getText: () => view.state.doc.toString(),
    setText(next) {
      if (next === view.state.doc.toString()) return;
      quiet = true;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } });
      quiet = false;
    },
    // `kind`: wait, run or error. Line 0 takes the mark away.
    setMark(line, kind) {
      view.dispatch({ effects: setMark.of({ line, kind }) });
    },
    showLine(line) {
      if (line < 1 || line > view.state.doc.lines) return;
      view.dispatch({ effects: EditorView.scrollIntoView(view.state.doc.line(line).from, { y: 'nearest', yMargin: 42 }) });
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}
