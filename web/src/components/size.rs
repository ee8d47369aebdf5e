//! The size of an element on screen, as a signal.

use leptos::html::ElementType;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::ResizeObserver;

/// Width and height of the element, in CSS pixels, from when it is in the page.
pub fn size_of<E>(node: NodeRef<E>) -> RwSignal<(f64, f64)>
where
    E: ElementType,
    E::Output: JsCast + Clone + AsRef<web_sys::Element> + 'static,
{
    let size = RwSignal::new((0.0, 0.0));
    Effect::new(move |_| {
        let Some(element) = node.get() else { return };
        let element: web_sys::Element = AsRef::<web_sys::Element>::as_ref(&element).clone();
        let measured = element.clone();
        let on_resize = Closure::<dyn FnMut()>::new(move || {
            let rect = (f64::from(measured.client_width()), f64::from(measured.client_height()));
            if rect != size.get_untracked() && rect.0 > 0.0 {
                size.set(rect);
            }
        });
        let Ok(observer) = ResizeObserver::new(on_resize.as_ref().unchecked_ref()) else { return };
        observer.observe(&element);
        let parts = StoredValue::new_local((observer, on_resize));
        on_cleanup(move || parts.with_value(|(observer, _)| observer.disconnect()));
    });
    size
}
