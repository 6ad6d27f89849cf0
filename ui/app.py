"""The application's pages; run by Streamlit for every session and interaction."""

import streamlit as st

from ui.page_label import label_page
from ui.page_runs import runs_page

st.set_page_config(page_title="PrefRL", layout="wide", menu_items={"About": "Learning from preferences."})
st.navigation(
    [
        st.Page(label_page, title="Label", icon=":material/compare:", url_path="label", default=True),
        st.Page(runs_page, title="Runs", icon=":material/monitoring:", url_path="runs"),
    ]
).run()
